"""What travels between clients and the content store: manifests, blobs, logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.incoming import Held
from atlas_server.archive.logs import LogArchive
from atlas_server.domain.records import JobRecord

_CHUNK = 1 << 20


class Content:
    """Use cases over stored bytes as such."""

    def __init__(self, bundles: Bundles, logs: LogArchive) -> None:
        self._bundles = bundles
        self._logs = logs

    def receive_manifest(self, data: bytes) -> tuple[str, list[str]]:
        """Store a manifest; return its digest and the blobs that are missing."""
        return self._bundles.receive(data)

    def receive_blobs(self, blobs: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """Store (digest, content) pairs, all or none. Raises BundleError or StorageFull."""
        with self._bundles.blobs.batch() as batch:
            for digest, content in blobs:
                batch.put_stream(content, digest)

    def incoming(self, digest: str) -> Held:
        """Return how much of a content has come. Raises BundleError for what is no digest."""
        return self._bundles.incoming.held(digest)

    def receive_part(self, digest: str, total: int, offset: int, chunks: Iterable[bytes]) -> Held:
        """Take in a part of a large content. Raises BundleError, InvalidRequest or StorageFull."""
        return self._bundles.incoming.receive(digest, total, offset, chunks)

    def open_blob(self, digest: str) -> BinaryIO:
        """Open the content of a blob. Raises NotFound."""
        return self._bundles.blobs.open(digest)

    def blob_size(self, digest: str) -> int:
        """Return the size of a blob in bytes. Raises NotFound."""
        return self._bundles.blobs.size(digest)

    def log_size(self, job_id: str, attempt: int) -> int:
        """Return the size of an attempt's log in bytes."""
        return self._logs.length(job_id, attempt)

    def log_tail(self, job: JobRecord, attempt: int, lines: int) -> int:
        """Return the offset at which the last `lines` lines of an attempt's log begin."""
        return self._logs.tail_offset(job.job_id, attempt, lines)

    def log_part(self, job_id: str, attempt: int, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes of an attempt's log."""
        return self._logs.read(job_id, attempt, offset, limit)

    def log_between(self, job: JobRecord, attempt: int, begin: int, end: int) -> Iterator[bytes]:
        """Yield an attempt's log from byte `begin` to `end`."""
        while begin < end:
            data = self.log_part(job.job_id, attempt, begin, min(_CHUNK, end - begin))
            if not data:
                return
            begin += len(data)
            yield data
