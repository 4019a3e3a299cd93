"""Large contents that arrive in parts: each in a file of its own until it is whole.

What has arrived stays, to the byte, however it was cut off: whoever sends goes on from there. Bytes
are only ever added, under a lock of the file, so that a sender who was thought dead, other senders
of the same content and other processes are harmless.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from atlas_server.domain.freed import Freed
from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.disk import digest_of, names_in, read_chunks
from foundations.errors import BundleError, InvalidRequest, StorageFull

_FOLDER = "incoming"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_MOST_HASHES = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """How many bytes of a content are here, and whether it is whole: verified and stored."""

    size: int
    complete: bool


class Incoming:
    """The parts of contents on their way into `blobs`."""

    def __init__(self, blobs: BlobDir) -> None:
        self._blobs = blobs
        self._root = os.path.join(blobs.root, _FOLDER)
        self._lock = threading.Lock()
        # Hash and number of bytes of what arrived in this process: saves reading it once more.
        self._hashes: dict[str, tuple[Any, int]] = {}

    def held(self, digest: str) -> Held:
        """Return what is here of a content."""
        if not self._blobs.renew([digest]):
            return Held(self._blobs.size(digest), complete=True)
        try:
            return Held(os.stat(self._path(digest)).st_size, complete=False)
        except FileNotFoundError:
            return Held(0, complete=False)

    def receive(self, digest: str, total: int, offset: int, chunks: Iterable[bytes]) -> Held:
        """Take in what comes at `offset` of a content of `total` bytes; answers what is here then.

        What is here already is passed over; nothing is taken in where bytes before `offset` are
        missing. Raises BundleError where the whole does not have the digest: then it has to be sent
        anew. Raises StorageFull, InvalidRequest.
        """
        held = self.held(digest)
        if held.complete or offset > held.size:
            return held
        try:
            if not held.size:
                self._begin(total)
            for chunk in chunks:
                if offset + len(chunk) > total:
                    raise InvalidRequest("More arrives of the content than was announced.")
                if not self._append(digest, offset, chunk):
                    return self.held(digest)  # somebody else has finished it, or begun anew
                offset += len(chunk)
            return self._finished(digest, total)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            text = f"The disk that holds {self._blobs.root} is full."
            raise StorageFull(text, "Free some space there and try again.") from error

    def sweep(self, older_than: float, *, dry: bool = False) -> Freed:
        """Delete what has not grown since `older_than`, in seconds; `dry`: only say what."""
        freed = Freed()
        for name in names_in(self._root):
            if not manifest.is_digest(name):
                continue
            descriptor = self._open(name, os.O_RDWR | os.O_CLOEXEC)
            if descriptor is None:
                continue  # finished just now
            try:
                found = os.fstat(descriptor)
                if found.st_mtime < older_than:
                    freed += Freed(1, found.st_size)
                    if not dry:
                        os.unlink(self._path(name))
            finally:
                os.close(descriptor)
        return freed

    def _path(self, digest: str) -> str:
        self._blobs.path(digest)  # refuses what is no digest
        return os.path.join(self._root, digest)

    def _begin(self, total: int) -> None:
        os.makedirs(self._root, exist_ok=True)
        found = os.statvfs(self._root)
        free = found.f_bavail * found.f_frsize
        if free < total:
            raise StorageFull(
                f"The server's disk has no room for a file of {total:,} bytes: {free:,} are free.",
                f"Free some space in {self._blobs.root}, or name the file in .foundationsignore.",
            )

    def _append(self, digest: str, offset: int, chunk: bytes) -> bool:
        """Add a chunk to the file; False where it is no longer there, or shorter than was said."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if offset == 0 else 0)
        descriptor = self._open(digest, flags)
        if descriptor is None:
            return False
        try:
            size = os.fstat(descriptor).st_size
            if offset > size:
                return False
            fresh = memoryview(chunk)[size - offset :]
            self._count(digest, size, fresh)
            os.lseek(descriptor, size, os.SEEK_SET)
            while fresh:
                fresh = fresh[os.write(descriptor, fresh) :]
        finally:
            os.close(descriptor)
        return True

    def _open(self, digest: str, flags: int) -> int | None:
        """Open and lock the file; None where there is none, or it has become a blob meanwhile."""
        path = self._path(digest)
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _count(self, digest: str, size: int, fresh: memoryview) -> None:
        with self._lock:
            state, counted = self._hashes.pop(digest, (None, 0))
            if not size:
                state, counted = manifest.new_hash(1 << 62), 0
            if state is None or counted != size:
                return  # begun by another process
            state.update(fresh)
            self._hashes[digest] = (state, size + len(fresh))
            while len(self._hashes) > _MOST_HASHES:
                del self._hashes[next(iter(self._hashes))]

    def _finished(self, digest: str, total: int) -> Held:
        descriptor = self._open(digest, os.O_RDWR | os.O_CLOEXEC)
        if descriptor is None:
            return self.held(digest)
        path = self._path(digest)
        try:
            size = os.fstat(descriptor).st_size
            if size < total:
                return Held(size, complete=False)
            if self._digest(digest, descriptor, size) != digest:
                os.unlink(path)
                raise BundleError(
                    f"The content received does not have the digest {digest[:12]}... announced.",
                    "It changed while it was being sent: send it again.",
                )
            os.fchmod(descriptor, 0o444)
            os.utime(descriptor)
            os.fsync(descriptor)
            self._blobs.publish(path, digest, durable=True)
        finally:
            os.close(descriptor)
        return Held(size, complete=True)

    def _digest(self, digest: str, descriptor: int, size: int) -> str:
        with self._lock:
            state, counted = self._hashes.pop(digest, (None, 0))
        if state is not None and counted == size:
            return str(state.hexdigest())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return digest_of(read_chunks(descriptor, self._path(digest)))[0]
