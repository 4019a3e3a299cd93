"""Content on its way to a server on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from foundations.blobs import BlobDir
from foundations.client.api import Api
from foundations.client.persistence import Persistence
from foundations.client.upload import Source, Upload
from foundations.contract import manifest

_CHUNK = 1 << 18


def bring(api: Api, blobs: BlobDir, kind: str, digest: str) -> None:
    """See that the server has a file's content, or a folder's manifest and all that it names.

    Twice is harmless: only what the server lacks travels. Raises Unreachable at once: whoever asks
    tries again.
    """
    if kind == manifest.FOLDER:
        with blobs.open(digest) as file:
            data = file.read()
    else:
        # The server is asked about a folder that holds nothing else.
        data = manifest.encode([("content", manifest.FILE, digest, blobs.size(digest))])
    _, missing = api.send_manifest(data)
    if missing:
        Upload(api, _Stored(blobs), Persistence(lambda _: None, 0.0)).send(missing)


class _Stored(Source):
    """What is in a content store."""

    def __init__(self, blobs: BlobDir) -> None:
        self._blobs = blobs

    def size(self, digest: str) -> int:
        return self._blobs.size(digest)

    def chunks(self, digest: str) -> Iterator[bytes]:
        with self._blobs.open(digest) as file:
            while part := file.read(_CHUNK):
                yield part

    def open(self, digest: str) -> BinaryIO:
        return self._blobs.open(digest)
