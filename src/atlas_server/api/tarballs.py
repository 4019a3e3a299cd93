"""A job's files as one tarball, made while it is sent; a download that was cut off can go on."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response, StreamingResponse

from atlas_server.api.bodies import FileLike, written_by
from atlas_server.domain.records import JobRecord
from atlas_server.services.content import Content
from foundations.bundle.archive import write_tar
from foundations.contract.manifest import Entry
from foundations.errors import Refused


def tarball(
    content: Content, job: JobRecord, entries: Sequence[Entry], offset: int, tag: str | None
) -> Response:
    """Return the tarball of these files from byte `offset` on.

    It is the same to the byte whenever it is made of the same files; `tag`, the ETag of the one
    that was begun, tells. Raises Refused where it is another one by now.
    """
    now = _tag(job, entries)
    if tag is not None and tag != now:
        raise Refused("The job's files have changed since the download began.", "Fetch them again.")

    def members() -> Iterator[tuple[str, str, Any, Any]]:
        for entry in entries:
            if entry.kind in ("f", "x"):
                yield entry.path, entry.kind, entry.size, partial(content.open_blob, entry.value)
            else:
                yield entry.path, entry.kind, entry.value, None

    def write(pipe: FileLike) -> None:
        write_tar(pipe, members(), job.job_id, mtime=job.submitted_at)  # type: ignore[arg-type]

    headers = {"Content-Disposition": f'attachment; filename="{job.job_id}.tgz"', "ETag": now}
    chunks = _from(written_by(write), offset)
    return StreamingResponse(chunks, media_type="application/gzip", headers=headers)


def _from(chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    for chunk in chunks:
        if offset < len(chunk):
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))


def _tag(job: JobRecord, entries: Sequence[Entry]) -> str:
    made_of = (job.job_id, int(job.submitted_at), zlib.ZLIB_RUNTIME_VERSION, [*map(tuple, entries)])
    return f'"{hashlib.sha256(repr(made_of).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
