"""Careful steps on files: what the content store is written with."""

from __future__ import annotations

import os
import sys
from stat import S_ISREG

from foundations.contract import manifest
from foundations.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, List, Tuple

_CHUNK = 1 << 20
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def unique_name() -> str:
    """Return a name that no other process or call makes."""
    return "{}-{}".format(os.getpid(), os.urandom(8).hex())


def open_regular(path: str) -> int:
    """Open a regular file for reading, no link or pipe. Raises BundleError."""
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except OSError as error:
        raise BundleError("{} cannot be read: {}.".format(path, error.strerror)) from error
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError("{} is not a regular file.".format(path))
    return descriptor


def read_chunks(descriptor: int, path: str) -> Iterator[bytes]:
    """Yield the content of an open file. Raises BundleError naming `path`."""
    while True:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except OSError as error:
            raise BundleError("{} cannot be read: {}.".format(path, error.strerror)) from error
        if not chunk:
            return
        yield chunk


def written(chunks: Iterable[bytes], descriptor: int) -> Iterator[bytes]:
    """Write the chunks as they pass by."""
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        yield chunk


def digest_of(chunks: Iterable[bytes]) -> Tuple[str, int]:
    """Return digest and size of what the chunks make together."""
    size = 0
    state = manifest.new_hash(sys.maxsize)
    for chunk in chunks:
        state.update(chunk)
        size += len(chunk)
    return str(state.hexdigest()), size


def remove_tree(folder: str) -> None:
    """Delete a folder; what cannot be deleted stays."""
    from shutil import rmtree

    try:
        rmtree(folder, ignore_errors=True)  # what is left is swept later
    except RecursionError:
        # A program that makes folders in folders for ever; rm has no such limit.
        from subprocess import DEVNULL, run

        run(["rm", "-rf", "--", folder], stderr=DEVNULL, check=False)


def size_below(path: str) -> int:
    """Return what a file, or the files below a folder, come to in bytes, as far as can be seen."""
    files = (os.path.join(place, name) for place, _, names in os.walk(path) for name in names)
    total = 0
    for file in files if os.path.isdir(path) else [path]:
        try:
            total += os.lstat(file).st_size
        except OSError:  # noqa: PERF203 - gone by now
            continue
    return total


def names_in(folder: str) -> List[str]:
    """Return the names in a folder, none where it does not exist."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def sync_folder(folder: str) -> None:
    """Wait until the folder's entries are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
