"""From a manifest back to a folder, and what a job changed in it afterwards."""

from __future__ import annotations

import errno
import json
import os
import time
from stat import S_ISREG, S_IXUSR

from foundations.blobs import BlobDir
from foundations.bundle.tree import TreeWriter, storage_full
from foundations.contract import manifest
from foundations.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Callable, Dict, Iterable, List, Optional, Tuple, Union

    from foundations.bundle.ignore import Rules

    Source = Union[BlobDir, Callable[[str], BinaryIO]]
    Skipped = Callable[[str, str], None]
    # kind, size, mtime_ns, ctime_ns, inode, digest or target
    Identity = Tuple[str, int, int, int, int, str]

_CHUNK = 1 << 20
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FICLONE = 0x40049409
# Files are dated back by so much, so that a job's first write always changes the date, even
# within one tick of the coarsest file system's clock.
_DATED_BACK_NS = 10_000_000_000


class Snapshot:
    """What `materialize` wrote: `identities`, by path, as the files were then."""

    def __init__(self, identities: Optional[Dict[str, Identity]] = None) -> None:
        self.identities: Dict[str, Identity] = identities or {}

    def save(self, path: str) -> None:
        """Write the snapshot to a JSON file."""
        temporary = "{}.{}".format(path, os.getpid())
        with open(temporary, "w", encoding="ascii") as file:
            json.dump({"version": 1, "files": self.identities}, file, separators=(",", ":"))
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str) -> Snapshot:
        """Read what `save` wrote. BundleError: it cannot be read."""
        try:
            with open(path, encoding="ascii") as file:
                files = json.load(file)["files"]
            return cls({name: tuple(identity) for name, identity in files.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError("The snapshot {} cannot be read.".format(path)) from error


def materialize(
    entries: Iterable[Tuple[str, str, str, int]], source: Source, dest: str
) -> Snapshot:
    """Create the folder that the entries describe in `dest` and return its snapshot.

    Files are copies that the job may write to, with modes 0644 and 0755. `source` is a BlobDir,
    whose contents are trusted, or a function from a digest to an open binary file, whose contents
    are verified. Raises BundleError for content that is not as announced and for a name that
    exists or that the file system takes for another one, StorageFull, and UnsafePathError.
    """
    entries = [manifest.Entry(*entry) for entry in entries]
    manifest.check_tree(entry.path for entry in entries)
    copier = _Copier(source)
    snapshot = Snapshot()
    with TreeWriter(dest) as writer:
        for entry in entries:
            manifest.check_path(entry.path)
            if entry.kind == manifest.FOLDER:
                writer.folder(entry.path)
                continue
            if entry.kind == manifest.SYMLINK:
                writer.symlink(entry.path, manifest.check_target(entry.path, entry.value))
                found = writer.stat(entry.path)
            else:
                mode = 0o755 if entry.kind == manifest.EXECUTABLE else 0o644
                descriptor = writer.file(entry.path, mode)
                try:
                    found = copier.fill(descriptor, entry)
                finally:
                    os.close(descriptor)
            snapshot.identities[entry.path] = _identity(entry.kind, found, entry.value)
    return snapshot


def changed_files(
    dest: str, snapshot: Snapshot, on_skip: Optional[Skipped] = None, rules: Optional[Rules] = None
) -> List[str]:
    """Return the paths of files and symlinks below `dest` that are new or changed, sorted.

    Left out: what `rules` ignore (without them: caches, repositories, environments), symlinks
    that lead out, special files, and what cannot be read; `on_skip` gets path and reason of the
    last three. A file that was only touched or written again with the same content is unchanged.
    """
    from foundations.bundle.ignore import Rules  # what lays out code does without it

    changed: List[str] = []
    rules = rules or Rules()
    skip = on_skip or (lambda _path, _reason: None)
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(os.path.join(dest, folder) if folder else dest) as found:
                entries = {entry.name: entry for entry in found}
        except OSError as error:
            skip(folder, error.strerror or str(error))
            continue
        name = folder.rpartition("/")[2]
        if folder and rules.ignores_environment(folder, name, entries):
            continue
        for name, entry in entries.items():
            path = folder + "/" + name if folder else name
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules.ignores(path, name, is_folder):
                continue
            if is_folder:
                todo.append(path)
            elif _has_changed(entry, path, snapshot.identities.get(path), skip):
                changed.append(path)
    return sorted(changed)


def _has_changed(
    entry: os.DirEntry[str], path: str, before: Optional[Identity], skip: Skipped
) -> bool:
    try:
        if entry.is_symlink():
            target = os.readlink(entry.path)
            if not manifest.is_inside(path, target):
                skip(path, "a symlink that leads out of the folder")
                return False
            return before is None or before[0] != manifest.SYMLINK or before[5] != target
        found = entry.stat(follow_symlinks=False)
        if not S_ISREG(found.st_mode):
            skip(path, "not a regular file")
            return False
        kind = manifest.EXECUTABLE if found.st_mode & S_IXUSR else manifest.FILE
        if before is None or before[:2] != (kind, found.st_size):
            return True
        # Only the times or the inode differ: chown, touch, or a rewrite, which the content tells.
        if _identity(before[0], found, before[5]) == before:
            return False
        return _digest_of(entry.path, found.st_size) != before[5]
    except FileNotFoundError:
        return False
    except OSError as error:
        skip(path, error.strerror or str(error))
        return False


def _identity(kind: str, found: os.stat_result, value: str) -> Identity:
    return kind, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, value


def _digest_of(path: str, size: int) -> str:
    state = manifest.new_hash(size)
    with os.fdopen(os.open(path, _READ_FLAGS), "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            state.update(chunk)
    return str(state.hexdigest())


class _Copier:
    """Fills files with contents, in the fastest way that the two file systems allow."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._trusted = isinstance(source, BlobDir)
        self._clone = self._copy_in_kernel = self._trusted

    def fill(self, descriptor: int, entry: manifest.Entry) -> os.stat_result:
        """Write the content of the entry, verify it, date it back; return the file's state."""
        source = self._source
        blob = source.open(entry.value) if isinstance(source, BlobDir) else source(entry.value)
        try:
            with blob:
                if not (self._cloned(blob, descriptor) or self._copied(blob, descriptor)):
                    self._write(blob, descriptor, entry)
            when = time.time_ns() - _DATED_BACK_NS
            os.utime(descriptor, ns=(when, when))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise storage_full() from error
            raise
        found = os.fstat(descriptor)
        if found.st_size != entry.size:
            raise BundleError("The content of {!r} has another size.".format(entry.path))
        return found

    def _cloned(self, blob: BinaryIO, descriptor: int) -> bool:
        """Share the blocks, where the file system can (btrfs, xfs, bcachefs)."""
        if not self._clone:
            return False
        try:
            from fcntl import ioctl

            ioctl(descriptor, _FICLONE, blob.fileno())
        except (ImportError, OSError):
            self._clone = False
        return self._clone

    def _copied(self, blob: BinaryIO, descriptor: int) -> bool:
        """Copy without passing the bytes through this process."""
        if not self._copy_in_kernel or not hasattr(os, "copy_file_range"):
            return False
        try:
            while os.copy_file_range(blob.fileno(), descriptor, 1 << 30):
                pass
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._copy_in_kernel = False  # not between these file systems
            os.lseek(blob.fileno(), 0, os.SEEK_SET)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.ftruncate(descriptor, 0)
            return False
        return True

    def _write(self, blob: BinaryIO, descriptor: int, entry: manifest.Entry) -> None:
        state = manifest.new_hash(entry.size)
        count = 0
        while count <= entry.size:
            chunk = blob.read(_CHUNK)
            if not chunk:
                break
            count += len(chunk)
            if not self._trusted:
                state.update(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        if not self._trusted and state.hexdigest() != entry.value:
            raise BundleError("The content of {!r} is not the one announced.".format(entry.path))
