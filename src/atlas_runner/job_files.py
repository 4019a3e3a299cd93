"""Files in folders that a job writes to while they are read: its links lead nobody elsewhere.

A container sees a few folders of this machine, and its job may put a link to anything there, or
exchange a folder for one at any moment. Whoever followed it would read, move or delete files of
this machine that the job itself could never reach.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR

from foundations.contract.manifest import MAX_DEPTH
from foundations.errors import BundleError

# Where folders above may be passed through and not read, that has to do.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DESCRIPTORS = "/proc/self/fd"
_HAS_DESCRIPTORS = os.path.isdir(_DESCRIPTORS)


@contextlib.contextmanager
def held(root: Path, path: str) -> Iterator[str]:
    """Give a name for what is at `path` below `root`, good until the end of the context.

    The folder that it lies in is held open, so that the name means the same whatever the job puts
    on the way. What is at its end may itself be a link. Raises FileNotFoundError where a folder is
    missing, BundleError where something else is in its place.
    """
    *folders, name = path.split("/")
    folder = os.open(root, _FOLDER)
    try:
        for each in folders:
            below = _step(folder, each, path)
            os.close(folder)
            folder = below
        place = _place(folder, name, str(root / path))
        try:
            yield place
        except BundleError as error:
            raise BundleError(error.message.replace(place, path), error.hint) from error
    finally:
        os.close(folder)


def _step(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise BundleError(f"{path} leads through {name}, which is no folder.") from error
        raise


def write_open(root: Path, path: str, text: str) -> None:
    """Write a file that a job may read, whatever user it runs as. Raises OSError, BundleError."""
    with held(root, path) as place:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(place, flags, 0o600), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)


def files_below(place: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield (path, place, state) of all below the folder `place` that is no folder.

    The path begins below the folder; the place is good until the next one is asked for. Raises
    OSError where there is no such folder.
    """
    for parent, folders, names, descriptor in os.fwalk(place):
        prefix = parent[len(place) :].lstrip("/")
        folders.sort()
        for name in sorted([*folders, *names]):
            with contextlib.suppress(FileNotFoundError):
                state = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not S_ISDIR(state.st_mode):
                    path = f"{prefix}/{name}" if prefix else name
                    yield path, _place(descriptor, name, os.path.join(parent, name)), state
        if prefix.count("/") >= MAX_DEPTH:
            folders.clear()  # which nobody could keep, and each level takes a descriptor


def _place(folder: int, name: str, path: str) -> str:
    # Without such names there are no containers, and a job has the rights of whoever reads.
    return f"{_DESCRIPTORS}/{folder}/{name}" if _HAS_DESCRIPTORS else path
