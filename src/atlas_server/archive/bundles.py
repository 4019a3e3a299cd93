"""The content store: manifests of jobs' folders and the blobs that they name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.contract.manifest import Entry
from foundations.errors import BlobsMissing, NotFound

# Blobs that no job names are kept this long: their job may be about to be submitted.
GRACE_SECONDS = 3600.0


class Bundles:
    """Receives, gives out and sweeps what jobs consist of."""

    def __init__(self, blobs: BlobDir) -> None:
        self.blobs = blobs
        self._complete: set[str] = set()
        # What each manifest lacked when it came: all that has to be looked for again.
        self._incomplete: dict[str, list[str]] = {}
        # Held while a job's row is written, and while blobs are removed: never both at once.
        self._lock = threading.Lock()

    def receive(self, data: bytes) -> tuple[str, list[str]]:
        """Store a manifest and return its digest and the blobs that are still missing.

        Raises BundleError or UnsafePathError for a manifest that no folder can have.
        """
        entries = manifest.decode(data)
        digest = self.blobs.put_bytes(data)
        missing = self.blobs.missing(sorted(manifest.blob_digests(entries)))
        with self._lock:
            self._incomplete[digest] = missing
        return digest, missing

    @contextmanager
    def in_use(self, digest: str) -> Iterator[None]:
        """Hold a complete bundle so that it is not swept. Raises BlobsMissing."""
        with self._lock:
            if digest not in self._complete:
                self._check_complete(digest)
                self._complete.add(digest)
                self._incomplete.pop(digest, None)
            yield

    def entries(self, digest: str) -> list[Entry]:
        """Return the entries of a stored manifest. Raises NotFound."""
        if not self.blobs.has(digest):
            raise NotFound(f"There is no manifest {digest}.")
        with self.blobs.open(digest) as file:
            return manifest.decode(file.read())

    def release(self, candidates: Iterable[str], live: Callable[[], dict[str, bool]]) -> int:
        """Delete those of `candidates` that nothing uses; return how many.

        `live` returns the digests in use and whether each is a manifest, whose blobs are in use
        too.
        """
        unused = set(candidates)
        with self._lock:
            for digest, is_manifest in live().items():
                unused -= self._reachable(digest) if is_manifest and unused else {digest}
            # Any bundle may have lost a blob now: look again before the next job of each.
            self._complete.clear()
            self._incomplete.clear()
            for digest in unused:
                self.blobs.delete(digest)
        return len(unused)

    def sweep(self, live: Callable[[], dict[str, bool]]) -> int:
        """Delete every blob that nothing in `live()` names and that is older than the grace."""
        limit = time.time() - GRACE_SECONDS
        self.blobs.sweep(limit)
        old = (d for d in self.blobs.iter_digests() if _written_at(self.blobs.path(d)) < limit)
        return self.release(list(old), live)

    def everything(self, digest: str) -> set[str]:
        """Return a manifest's digest and those of all its blobs."""
        return self._reachable(digest)

    def _reachable(self, digest: str) -> set[str]:
        try:
            return {digest} | manifest.blob_digests(self.entries(digest))
        except NotFound:
            return {digest}

    def _check_complete(self, digest: str) -> None:
        if not self.blobs.has(digest):
            raise BlobsMissing("The job's bundle has not been sent.", details={"missing": [digest]})
        wanted = self._incomplete.get(digest)
        if wanted is None:
            wanted = sorted(manifest.blob_digests(self.entries(digest)))
        missing = self.blobs.missing(wanted)
        if missing:
            raise BlobsMissing(
                "Files of the bundle have not been sent.", details={"missing": missing}
            )


def _written_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return float("inf")
