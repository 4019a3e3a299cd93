"""The content store: manifests of jobs' folders and the blobs that they name."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from atlas_server.archive.content_lock import ContentLock
from atlas_server.archive.copies import Advance
from atlas_server.archive.incoming import Incoming
from atlas_server.domain.freed import Freed
from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.contract.manifest import Entry
from foundations.errors import BlobsMissing, BundleError, FoundationsError, NotFound

log = logging.getLogger(__name__)

# Blobs that no job names are kept this long: the rest of their folder may be on a slow line still.
GRACE_SECONDS = 86400.0
# Nobody writes one file, or one pack of them, for so long: its writer was killed.
_WRITING_SECONDS = 86400.0
# What has come of a large content is kept this long for whoever goes on sending it.
_INCOMING_SECONDS = 7 * 86400.0
# How far the times of files may lag behind the clock that attempts are dated by.
_LAG_SECONDS = 0.1
# So many blobs are deleted before a submission gets its turn.
_SLICE = 500


@dataclass(frozen=True, slots=True)
class InUse:
    """What jobs have, all of one moment.

    `digests` tells of each whether it is a manifest, whose blobs are in use too. `unreported_since`
    is when the oldest attempt that is not over began (seconds since the epoch), None where there is
    none: what was stored since may be an attempt's that has not told of it yet.
    """

    digests: dict[str, bool]
    unreported_since: float | None = None


class Bundles:
    """Receives, gives out and sweeps what jobs consist of."""

    def __init__(self, blobs: BlobDir) -> None:
        self.blobs = blobs
        self.incoming = Incoming(blobs)
        self._complete: set[str] = set()
        # What each manifest lacked when it came: all that has to be looked for again.
        self._incomplete: dict[str, list[str]] = {}
        # Held while a job's row is written, and while blobs are removed: never both at once. The
        # second one is for other processes of the server.
        self._lock = threading.Lock()
        self._guard = ContentLock(f"{blobs.root}.lock")
        self._removals = 0

    def receive(self, data: bytes) -> tuple[str, list[str]]:
        """Store a manifest and return its digest and the blobs that are still missing.

        Raises BundleError or UnsafePathError for a manifest that no folder can have.
        """
        entries = manifest.decode(data)
        removals = self._guard.removals()
        digest = self.blobs.put_bytes(data)
        missing = self.blobs.renew(sorted(manifest.blob_digests(entries)))
        with self._lock:
            # Unless blobs were removed meanwhile: more may be missing by now.
            if removals is not None and removals == self._guard.removals():
                self._look_again_after(removals)
                self._incomplete[digest] = missing
        return digest, missing

    @contextmanager
    def in_use(self, digest: str) -> Iterator[None]:
        """Hold a complete bundle so that it is not swept. Raises BlobsMissing."""
        with self._lock, self._guard.kept() as removals:
            self._look_again_after(removals)
            if digest not in self._complete:
                self._check_complete(digest)
                self._complete.add(digest)
                self._incomplete.pop(digest, None)
            yield

    def entries(self, digest: str) -> list[Entry]:
        """Return the entries of a stored manifest. Raises NotFound, or BundleError for others."""
        if not self.blobs.has(digest):
            raise NotFound(f"There is no manifest {digest}.")
        if self.blobs.size(digest) > manifest.MAX_MANIFEST_BYTES:
            raise BundleError(f"{digest} is too large to be a manifest.")
        with self.blobs.open(digest) as file:
            return manifest.decode(file.read())

    def release(
        self,
        candidates: Iterable[str],
        in_use: Callable[[], InUse],
        older_than: float = float("inf"),
    ) -> Freed:
        """Delete those of `candidates` that nothing uses.

        What was written since `older_than` stays, and what an attempt that is not over may have
        stored; a later sweep removes it.
        """
        unused = set(candidates)
        known: set[str] = set()
        # Most of the work is done without the lock, which submissions wait for; with it, only
        # manifests have to be read that have come since.
        self._spare(unused, in_use(), known)
        freed = Freed()
        while unused:
            with self._lock, self._guard.removing():
                self.blobs.put_back()
                # An attempt that begins from now on stores nothing before.
                now = time.time()
                use = in_use()
                self._spare(unused, use, known)
                slice_ = [unused.pop() for _ in range(min(_SLICE, len(unused)))]
                freed += self._delete(slice_, _written_before(use, min(now, older_than)))
        return freed

    def sweep(
        self,
        in_use: Callable[[], InUse],
        *,
        dry: bool = False,
        advance: Advance = lambda _: None,
    ) -> Freed:
        """Delete every blob that nothing uses and that is older than the grace.

        With `dry` say only what would go.
        """
        limit = time.time() - GRACE_SECONDS
        old: set[str] = set()
        for digest in self.blobs.iter_digests():
            if _state(self.blobs.path(digest)).written_at < limit:
                old.add(digest)
            advance(1)
        if not dry:
            return self.release(old, in_use, limit)
        use = in_use()
        self._spare(old, use, set())
        found = (_state(self.blobs.path(digest)) for digest in old)
        before = _written_before(use, limit)
        return sum((Freed(1, each.size) for each in found if each.written_at < before), Freed())

    def sweep_unfinished(self, *, dry: bool = False) -> Freed:
        """Delete what came of contents that nobody goes on sending or writing."""
        now = time.time()
        broken_off = Freed(*self.blobs.sweep(now - _WRITING_SECONDS, dry))
        return broken_off + self.incoming.sweep(now - _INCOMING_SECONDS, dry=dry)

    def stored_bytes(self) -> int:
        """Return what all blobs come to."""
        total = 0
        for digest in self.blobs.iter_digests():
            with suppress(NotFound):
                total += self.blobs.size(digest)
        return total

    def everything(self, digest: str) -> set[str]:
        """Return a manifest's digest and those of all its blobs, where it can be read."""
        try:
            return {digest} | manifest.blob_digests(self.entries(digest))
        except NotFound:
            return {digest}
        except FoundationsError as error:
            # A job can name anything as its folder; that must not hold up the others.
            log.warning("%s is in use as a manifest and is none: %s", digest, error.message)
            return {digest}

    def _spare(self, unused: set[str], use: InUse, known: set[str]) -> None:
        """Take what is in use out of `unused`, but for what the manifests in `known` name."""
        for digest, is_manifest in use.digests.items():
            if not unused:
                return
            if not is_manifest:
                unused.discard(digest)
            elif digest not in known:
                reachable = self.everything(digest)
                unused -= reachable
                # One that could not be read may be sent anew, and is looked at again.
                if len(reachable) > 1:
                    known.add(digest)

    def _delete(self, digests: Iterable[str], written_before: float) -> Freed:
        freed = Freed()
        for digest in digests:
            size = _state(self.blobs.path(digest)).size
            if self.blobs.delete(digest, written_before):
                freed += Freed(1, size)
        return freed

    def _look_again_after(self, removals: int) -> None:
        """Any bundle may have lost a blob: look again before the next job of each."""
        if removals != self._removals:
            self._complete.clear()
            self._incomplete.clear()
            self._removals = removals

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


def _written_before(use: InUse, limit: float) -> float:
    """How old a blob must be to be nobody's, at the latest `limit`."""
    if use.unreported_since is None:
        return limit
    return min(limit, use.unreported_since - _LAG_SECONDS)


class _State(NamedTuple):
    written_at: float
    size: int


def _state(path: str) -> _State:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return _State(float("inf"), 0)  # deleted just now
    return _State(found.st_mtime, found.st_size)
