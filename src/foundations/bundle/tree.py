"""Creating files below a folder whose contents nobody has vouched for."""

from __future__ import annotations

import errno
import os

from foundations.errors import BundleError, StorageFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Optional, Set, Tuple, Type

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class TreeWriter:
    """Creates files below one folder and nowhere else, whatever lies or appears there.

    Every step is taken relative to an open folder and follows no symlink. Existing folders are
    used, existing files and links are never touched: BundleError. Used as a context.
    """

    def __init__(self, root: str) -> None:
        os.makedirs(root, exist_ok=True)
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._known: Set[str] = set()
        self._open_path = ""
        self._open = self._root

    def __enter__(self) -> TreeWriter:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._close_folder()
        os.close(self._root)

    def folder(self, path: str) -> None:
        """Create the folder `path` and those above it."""
        self._enter(path)

    def file(self, path: str, mode: int) -> int:
        """Create a file with this mode and return its descriptor, open for writing."""
        folder, name = self._enter_parent(path)
        try:
            descriptor = os.open(name, _FILE_FLAGS, 0o600, dir_fd=folder)
        except OSError as error:
            raise self._refusal(path, folder, name, error) from error
        os.fchmod(descriptor, mode)
        return descriptor

    def symlink(self, path: str, target: str) -> None:
        """Create a symlink."""
        folder, name = self._enter_parent(path)
        try:
            os.symlink(target, name, dir_fd=folder)
        except (OSError, UnicodeEncodeError) as error:
            raise self._refusal(path, folder, name, error) from error

    def stat(self, path: str) -> os.stat_result:
        """Return the state of something just created, without following it."""
        folder, name = self._enter_parent(path)
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _enter_parent(self, path: str) -> Tuple[int, str]:
        parent, _, name = path.rpartition("/")
        return self._enter(parent), name

    def _enter(self, path: str) -> int:
        """Return a descriptor of the folder, good until the next call."""
        if path == self._open_path:
            return self._open
        folder = os.dup(self._root)
        done = ""
        for name in path.split("/") if path else ():
            done = done + "/" + name if done else name
            try:
                below = self._step(folder, name, done)
            finally:
                os.close(folder)
            folder = below
        self._close_folder()
        self._open_path, self._open = path, folder
        return folder

    def _step(self, folder: int, name: str, path: str) -> int:
        try:
            made = False
            if path not in self._known:
                try:
                    os.mkdir(name, 0o755, dir_fd=folder)
                    made = True
                except FileExistsError:
                    if name not in os.listdir(folder):
                        raise  # the file system takes it for another name
                self._known.add(path)
            below = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            if made:
                os.fchmod(below, 0o755)  # whatever the umask: the job may run as another user
            return below
        except (OSError, UnicodeEncodeError) as error:
            raise self._refusal(path, folder, name, error) from error

    def _refusal(self, path: str, folder: int, name: str, error: Exception) -> Exception:
        if isinstance(error, UnicodeEncodeError):
            return BundleError("{!r} is no file name in this locale.".format(path))
        code = error.errno if isinstance(error, OSError) else None
        if code in (errno.ENOSPC, errno.EDQUOT):
            return storage_full()
        if code == errno.EEXIST and name not in os.listdir(folder):
            return BundleError(
                "{!r} and another name differ only in case or spelling.".format(path),
                "This file system cannot tell them apart: rename one.",
            )
        if code in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
            return BundleError("{!r} cannot be created: something is there.".format(path))
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return BundleError("{!r} cannot be created: {}.".format(path, reason))

    def _close_folder(self) -> None:
        if self._open != self._root:
            os.close(self._open)
        self._open_path, self._open = "", self._root


def storage_full() -> StorageFull:
    """Return the error for a disk with no room left for the files of a job."""
    return StorageFull(
        "The disk is full: the job's files cannot be written.", "Free some space and try again."
    )
