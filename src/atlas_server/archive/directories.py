"""Synchronised directories of jobs, as plain folders: ID/synced_directories/KEY/PATH."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from foundations.contract.manifest import check_path
from foundations.disk import size_below
from foundations.errors import BundleError, NotFound, StorageFull

_UNFINISHED = ".unfinished-"


class StoredFile(NamedTuple):
    """A file of a directory; `mtime_ns` is when it was last changed where it came from."""

    path: str
    size: int
    mtime_ns: int


class DirectoryArchive:
    """Keeps the newest version of each file of each directory of each job."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, job_id: str, key: str) -> Path:
        """Return where a directory is, whether it exists or not."""
        return self._root / job_id / "synced_directories" / _name(key)

    def write(
        self, job_id: str, key: str, path: str, chunks: Iterable[bytes], mtime_ns: int
    ) -> None:
        """Store a whole file in the place of the one before.

        Raises StorageFull, or BundleError for a path that leads out of the directory.
        """
        target = self._path(job_id, key, path)
        with _room():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.parent / (_UNFINISHED + secrets.token_hex(8))
            try:
                with partial.open("wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                os.utime(partial, ns=(mtime_ns, mtime_ns))
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)

    def write_at(
        self, job_id: str, key: str, path: str, offset: int, chunks: Iterable[bytes], mtime_ns: int
    ) -> None:
        """Store what comes at byte `offset` of a file; doing it twice is harmless.

        The file keeps its identity, so that who follows it reads on. Raises as `write`, and
        NotFound where the file is not there up to `offset`.
        """
        target = self._path(job_id, key, path)
        with _room():
            try:
                file = target.open("r+b")
            except FileNotFoundError:
                raise NotFound(f"Of {path!r} nothing has been stored yet.") from None
            with file:
                if file.seek(0, os.SEEK_END) < offset:
                    raise NotFound(f"Of {path!r} {offset} bytes have not been stored yet.")
                file.seek(offset)
                for chunk in chunks:
                    file.write(chunk)
            os.utime(target, ns=(mtime_ns, mtime_ns))

    def files(self, job_id: str, key: str) -> list[StoredFile]:
        """Return the files of a directory, by path."""
        folder = self.folder(job_id, key)
        return sorted(_walk(folder, "")) if folder.is_dir() else []

    def open(self, job_id: str, key: str, path: str) -> BinaryIO:
        """Open a file for reading. Raises NotFound or BundleError."""
        try:
            return self._path(job_id, key, path).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound(f"The directory '{key}' has no file {path!r}.") from None

    def remove(self, job_id: str) -> None:
        """Delete all directories of a job."""
        shutil.rmtree(self._root / job_id, ignore_errors=True)

    def size(self, job_id: str) -> int:
        """Return what all directories of a job come to, in bytes."""
        return size_below(str(self._root / job_id))

    def written(self) -> Iterator[tuple[str, float]]:
        """Yield the ID of each job that has directories, and when the first of them was made."""
        for folder in self._root.glob("*"):
            with suppress(FileNotFoundError):
                yield folder.name, folder.stat().st_mtime

    def _path(self, job_id: str, key: str, path: str) -> Path:
        return self.folder(job_id, key) / check_path(path)


def _name(key: str) -> str:
    """A directory's key as the name of a folder. Raises BundleError where it is too long."""
    name = key
    for letter in "%/\0":
        name = name.replace(letter, f"%{ord(letter):02X}")
    if name.startswith(".") or not name:
        name = "%" + name
    return check_path(name)


def _walk(folder: Path, prefix: str) -> Iterator[StoredFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif not entry.name.startswith(_UNFINISHED):
                status = entry.stat(follow_symlinks=False)
                yield StoredFile(prefix + entry.name, status.st_size, status.st_mtime_ns)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("The server's disk is full; the file waits.") from error
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG):
            # A file where a folder was, or the other way round; or no name at all.
            raise BundleError(f"The file cannot be stored: {error.strerror}.") from error
        raise
