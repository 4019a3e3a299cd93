"""Files of jobs served to browsers: safely, in parts where asked, not again where unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from atlas_server.domain.media import is_shown, media_type, policy, with_charset
from atlas_server.services.files import Files, Found

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def content(request: Request, files: Files, found: Found, *, download: bool) -> Response:
    """Return the response that serves a file."""
    kind = media_type(found.name)
    headers = {
        "Content-Type": with_charset(kind),
        "Content-Disposition": _disposition(found.name, inline=is_shown(kind) and not download),
        "Content-Security-Policy": policy(kind),
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        # What a name stands for may change, a content never does.
        "Cache-Control": "private, no-cache",
        "ETag": f'"{found.digest}"',
        "Accept-Ranges": "bytes",
    }
    if _is_known(request, found):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range") if _range_counts(request, found) else None
    if asked is None:
        return _part(files, found, 0, found.size, 200, headers)
    part = _asked_part(asked, found.size)
    if part is None:
        headers |= {"Content-Range": f"bytes */{found.size}"}
        return Response(status_code=416, headers=headers)
    begin, end = part
    if (begin, end) == (0, found.size):
        return _part(files, found, 0, found.size, 200, headers)
    headers |= {"Content-Range": f"bytes {begin}-{end - 1}/{found.size}"}
    return _part(files, found, begin, end, 206, headers)


def _part(
    files: Files, found: Found, begin: int, end: int, status: int, headers: dict[str, str]
) -> Response:
    file = files.open(found)
    headers |= {"Content-Length": str(end - begin)}
    return StreamingResponse(_chunks(file, begin, end), status, headers)


def _chunks(file: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(begin)
        while begin < end and (data := file.read(min(_CHUNK, end - begin))):
            begin += len(data)
            yield data


def _is_known(request: Request, found: Found) -> bool:
    return f'"{found.digest}"' in request.headers.get("if-none-match", "")


def _range_counts(request: Request, found: Found) -> bool:
    """Whether the part that is asked for is one of this content."""
    return request.headers.get("if-range", f'"{found.digest}"') == f'"{found.digest}"'


def _asked_part(text: str, size: int) -> tuple[int, int] | None:
    """The bytes [begin, end) of `Range: bytes=a-b`; None where there are none such.

    Of what cannot be read, and of several parts at once, everything is sent: that is allowed.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]) or len(text) > 60:
        return 0, size
    if not found[1]:
        last = min(int(found[2]), size)
        return (size - last, size) if last else None
    begin = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return (begin, end) if begin < end else None


def _disposition(name: str, *, inline: bool) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return (
        f'{"inline" if inline else "attachment"}; filename="{plain}"; '
        f"filename*=UTF-8''{quote(name, safe='')}"
    )
