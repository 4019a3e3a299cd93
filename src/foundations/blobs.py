"""A folder of contents named by their digest: `ab/cdef...` for the content with sha256 abcdef...

A blob is complete, verified and read-only from the moment it can be seen: it is written beside
the others under a name of its own and then renamed. Any number of processes may write, the same
digest too; what a killed one leaves in `tmp/` is swept by `sweep`.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR

from foundations.contract import manifest
from foundations.disk import (
    digest_of,
    names_in,
    open_regular,
    read_chunks,
    remove_tree,
    size_below,
    sync_folder,
    unique_name,
    written,
)
from foundations.errors import BundleError, NotFound, StorageFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Iterable, Iterator, List, Optional, Tuple

_TEMPORARY = "tmp"
_ASIDE = "aside-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LISTED_FROM = 2000
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class BlobDir:
    """The blobs below `root`, which is created when the first one is written.

    Every method that writes takes `durable`: whether the blob is on the disk, not only in memory,
    when the method returns. For many small ones `batch` waits for the disk once. All raise
    BundleError for something that is no digest and StorageFull where the disk is full.
    """

    def __init__(self, root: str) -> None:
        self.root = os.fspath(root)

    def path(self, digest: str) -> str:
        """Return where the content with this digest lies, if it is there."""
        if not manifest.is_digest(digest):
            raise BundleError("{!r} is not a sha256 digest.".format(digest))
        return os.path.join(self.root, digest[:2], digest[2:])

    def has(self, digest: str) -> bool:
        """Tell whether the content is stored."""
        return os.path.exists(self.path(digest))

    def missing(self, digests: Iterable[str]) -> List[str]:
        """Return those of `digests` that are not stored, each once, in their order."""
        wanted = dict.fromkeys(digests)
        if len(wanted) < _LISTED_FROM:
            return [digest for digest in wanted if not self.has(digest)]
        # For many it is quicker to list the store than to ask for each.
        stored = set(self.iter_digests())
        return [digest for digest in wanted if digest not in stored]

    def renew(self, digests: Iterable[str]) -> List[str]:
        """Return those that are not stored, as `missing`; the others are not swept for a while."""
        missing = []
        for digest in dict.fromkeys(digests):
            try:
                os.utime(self.path(digest))
            except FileNotFoundError:  # noqa: PERF203 - the exception is the answer
                missing.append(digest)
        return missing

    def size(self, digest: str) -> int:
        """Return the size of the content in bytes. NotFound: it is not stored."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError as error:
            raise _not_found(digest) from error

    def open(self, digest: str) -> BinaryIO:
        """Open the content for reading. NotFound: it is not stored."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError as error:
            raise _not_found(digest) from error

    def put_bytes(self, data: bytes, durable: bool = True) -> str:
        """Store the bytes and return their digest."""
        digest = manifest.digest(data)
        self.put_stream([data], digest, durable)
        return digest

    def put_stream(self, chunks: Iterable[bytes], digest: str, durable: bool = True) -> int:
        """Store what the chunks make together and return its size.

        Raises BundleError where it does not have the digest; then nothing is stored.
        """
        self.path(digest)
        with self._temporary() as temporary:
            found, size = self._write(temporary, chunks, durable)
            if found != digest:
                raise BundleError(
                    "The content received does not have the digest {}... announced.".format(
                        digest[:12]
                    ),
                    "It changed while it was being sent, or the connection was cut: send it again.",
                )
            self.publish(temporary, digest, durable)
        return size

    def put_file(
        self, path: str, digest: Optional[str] = None, durable: bool = True
    ) -> Tuple[str, int]:
        """Store a copy of a file and return its digest and size; `digest` is the one expected.

        Raises BundleError for a file that cannot be read, is not regular, or differs.
        """
        with self._temporary() as temporary:
            descriptor = open_regular(path)
            try:
                found, size = self._write(temporary, read_chunks(descriptor, path), durable)
            finally:
                os.close(descriptor)
            if digest is not None and found != digest:
                raise BundleError("{} does not have the digest expected: it changed.".format(path))
            self.publish(temporary, found, durable)
        return found, size

    def adopt(self, path: str, durable: bool = True) -> Tuple[str, int]:
        """Move a file that nobody writes to any more into the store; return its digest and size.

        Nothing is copied on the same file system. Where that cannot be - another file system, a
        second hard link, another owner - the file is copied and then deleted.
        """
        descriptor = open_regular(path)
        try:
            adopted = self._adopt(descriptor, path, durable)
        finally:
            os.close(descriptor)
        if adopted is None:
            adopted = self.put_file(path, durable=durable)
            os.unlink(path)
        return adopted

    def delete(self, digest: str, written_before: float = float("inf")) -> bool:
        """Delete the content, unless it was written again since; return whether that was done.

        `written_before` is in seconds since the epoch. A writer at the same moment loses nothing.
        """
        path = self.path(digest)
        aside = os.path.join(self.root, _TEMPORARY, _ASIDE + digest)
        try:
            if os.stat(path).st_mtime >= written_before:
                return False
            os.makedirs(os.path.dirname(aside), exist_ok=True)
            os.rename(path, aside)
            if os.stat(aside).st_mtime >= written_before:
                os.rename(aside, path)  # a writer came between the look and the move
                return False
            os.unlink(aside)
        except FileNotFoundError:
            return False  # or somebody else deletes it
        return True

    def put_back(self) -> None:
        """Give those their places again that one who was killed had moved aside to delete them.

        Not while somebody else deletes.
        """
        folder = os.path.join(self.root, _TEMPORARY)
        for name in names_in(folder):
            if name.startswith(_ASIDE):
                try:
                    os.link(os.path.join(folder, name), self.path(name[len(_ASIDE) :]))
                except FileExistsError:
                    pass  # written anew meanwhile
                os.unlink(os.path.join(folder, name))

    def iter_digests(self) -> Iterator[str]:
        """Yield the digest of every blob, in no order."""
        for folder in names_in(self.root):
            if len(folder) == 2:
                for name in names_in(os.path.join(self.root, folder)):
                    if manifest.is_digest(folder + name):
                        yield folder + name

    def batch(self) -> Batch:
        """Return a context in which many blobs are written and made durable together."""
        return Batch(self)

    def sweep(self, older_than: float, dry: bool = False) -> Tuple[int, int]:
        """Delete temporary files and batches last written before `older_than`.

        The time is in seconds since the epoch. Returns their number and bytes; with `dry` nothing
        is deleted. They are what processes that were killed while writing leave behind.
        """
        count = total = 0
        folder = os.path.join(self.root, _TEMPORARY)
        for name in names_in(folder):
            path = os.path.join(folder, name)
            try:
                found = os.stat(path)
                if found.st_mtime < older_than:
                    count, total = count + 1, total + size_below(path)
                    if not dry:
                        (remove_tree if S_ISDIR(found.st_mode) else os.unlink)(path)
            except FileNotFoundError:
                continue  # its writer has just finished
        return count, total

    def _adopt(self, descriptor: int, path: str, durable: bool) -> Optional[Tuple[str, int]]:
        if os.fstat(descriptor).st_nlink != 1:
            return None  # a program could still write to it through the other name
        with self._temporary() as temporary:
            try:
                os.fchmod(descriptor, 0o444)
                # New to the store, however old the file: what is old may be swept.
                os.utime(descriptor)
                os.rename(path, temporary)
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.EACCES):
                    return None
                raise
            try:
                if not os.path.samestat(os.lstat(temporary), os.fstat(descriptor)):
                    raise BundleError("{} was replaced while it was being stored.".format(path))
                digest, size = digest_of(read_chunks(descriptor, path))
                if durable:
                    os.fsync(descriptor)
                self.publish(temporary, digest, durable)
            except BaseException:
                if not os.path.lexists(path):
                    os.rename(temporary, path)
                raise
        return digest, size

    def _temporary(self) -> _Temporary:
        return _Temporary(self.root)

    def _write(self, temporary: str, chunks: Iterable[bytes], durable: bool) -> Tuple[str, int]:
        # Never executable and never writable: a job's copy gets its own mode.
        descriptor = os.open(temporary, _WRITE_FLAGS, 0o444)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            os.fchmod(descriptor, 0o444)
            result = digest_of(written(chunks, file.fileno()))
            if durable:
                os.fsync(descriptor)
        return result

    def publish(self, temporary: str, digest: str, durable: bool) -> None:
        """Give a verified file of the same file system its place; for batches."""
        path = self.path(digest)
        folder = os.path.dirname(path)
        try:
            os.rename(temporary, path)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            os.rename(temporary, path)
        if durable:
            sync_folder(folder)
            sync_folder(self.root)  # the folder may be as new, made by us or another writer


class _Temporary:
    """A path for one new file: deleted at the end if it is still there; names a full disk."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._path = ""

    def __enter__(self) -> str:
        folder = os.path.join(self._root, _TEMPORARY)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            self._raise_if_full(error)
            raise
        self._path = os.path.join(folder, unique_name())
        return self._path

    def __exit__(self, kind: object, error: Optional[BaseException], _: object) -> None:
        if os.path.lexists(self._path):
            os.unlink(self._path)
        self._raise_if_full(error)

    def _raise_if_full(self, error: Optional[BaseException]) -> None:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StorageFull(
                "The disk that holds {} is full.".format(self._root),
                "Free some space there and try again.",
            ) from error


class Batch:
    """Blobs that become visible together, at the end of the `with` block, once all are on disk.

    A cut of power therefore never leaves half a blob under its name, and a thousand small blobs
    wait for the disk once instead of a thousand times. An exception in the block drops them all.
    """

    def __init__(self, blobs: BlobDir) -> None:
        self._blobs = blobs
        self._staged = BlobDir(os.path.join(blobs.root, _TEMPORARY, unique_name()))

    def put_bytes(self, data: bytes) -> str:
        """As in BlobDir."""
        return self._staged.put_bytes(data, durable=False)

    def put_stream(self, chunks: Iterable[bytes], digest: str) -> int:
        """As in BlobDir."""
        return self._staged.put_stream(chunks, digest, durable=False)

    def put_file(self, path: str, digest: Optional[str] = None) -> Tuple[str, int]:
        """As in BlobDir."""
        return self._staged.put_file(path, digest, durable=False)

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            remove_tree(self._staged.root)

    def _commit(self) -> None:
        digests = list(self._staged.iter_digests())
        if not digests:
            return
        os.sync()
        folders = set()
        for digest in digests:
            staged = self._staged.path(digest)
            os.utime(staged)  # it may have waited long for the rest of a slow upload
            self._blobs.publish(staged, digest, durable=False)
            folders.add(os.path.dirname(self._blobs.path(digest)))
        for folder in sorted(folders):
            sync_folder(folder)
        sync_folder(self._blobs.root)


def _not_found(digest: str) -> NotFound:
    return NotFound("The blob {}... is not stored.".format(digest[:12]))
