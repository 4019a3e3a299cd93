"""Content on its way to a server on another machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foundations.blobs import BlobDir
from foundations.client.api import Api
from foundations.contract import manifest

_CHUNK = 1 << 18


def bring(api: Api, blobs: BlobDir, kind: str, digest: str) -> None:
    """See that the server has a file's content, or a folder's manifest and all that it names.

    Twice is harmless: only what the server lacks travels.
    """
    if kind == manifest.FOLDER:
        with blobs.open(digest) as file:
            data = file.read()
    else:
        # The server is asked about a folder that holds nothing else.
        data = manifest.encode([("content", manifest.FILE, digest, blobs.size(digest))])
    _, missing = api.send_manifest(data)
    if missing:
        api.send_blobs(_packed(blobs, missing))


def _packed(blobs: BlobDir, digests: Sequence[str]) -> Iterator[bytes]:
    for digest in digests:
        yield f"{digest}{blobs.size(digest):016x}".encode()
        with blobs.open(digest) as file:
            while part := file.read(_CHUNK):
                yield part
