"""From a listed folder to a bundle: its manifest, and the digest of every file.

Digests are remembered by size, times and inode, so that a folder sent again is not read again.
"""

from __future__ import annotations

import json
import os
import time
from binascii import crc32
from stat import S_ISREG, S_IXUSR

from foundations.contract import manifest
from foundations.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple

    from foundations.bundle.scan import Listing

    # size, mtime_ns, ctime_ns, inode, digest
    Known = Tuple[int, int, int, int, str]
    Progress = Callable[[int, int], None]

CHUNK = 1 << 20
_CACHE_VERSION = 1
# A file is remembered only if its last change is older than this when it is read: a change after
# that, within one tick of the file system's clock (2 s on the coarsest), would leave its times.
_RACY_NS = 2_000_000_000
_ATTEMPTS = 3
# A pipe that took the place of a listed file must not block the open.
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Bundle:
    """A folder ready to be sent.

    digest       of the manifest: the bundle's name
    manifest     its bytes
    entries      (path, kind, value, size), sorted by path
    total_size   bytes of all files
    """

    __slots__ = ("_sources", "digest", "entries", "manifest", "root", "total_size")

    def __init__(self, root: str, entries: List[Tuple[str, str, str, int]]) -> None:
        self.root = root
        self.entries = entries
        self.manifest = manifest.encode(entries)
        self.digest = manifest.digest(self.manifest)
        self.total_size = manifest.total_size(entries)
        self._sources: Optional[Dict[str, Tuple[str, int]]] = None

    def path_of(self, digest: str) -> str:
        """Return the absolute path of a file with this content. KeyError: there is none."""
        return os.path.join(self.root, self._source(digest)[0])

    def size_of(self, digest: str) -> int:
        """Return the size in bytes of this content. KeyError: the bundle does not hold it."""
        return self._source(digest)[1]

    def _source(self, digest: str) -> Tuple[str, int]:
        if self._sources is None:
            files = (entry for entry in self.entries if entry[1] in "fx")
            self._sources = {value: (path, size) for path, _, value, size in files}
        return self._sources[digest]


def hash_listing(
    listing: Listing,
    cache_dir: str,
    on_progress: Optional[Progress] = None,
    skipped: Optional[Callable[[BundleError], None]] = None,
) -> Bundle:
    """Return the bundle of a listed folder, reading only the files that changed since last time.

    `cache_dir` keeps what was read and may be deleted at any time; `on_progress` gets the bytes
    read so far and the bytes to read. Raises BundleError, naming the file, for one that cannot be
    read, has gone, or keeps changing; or tells `skipped` of it and leaves it out.
    """
    cache_path = _cache_path(listing.root, cache_dir)
    known = _load(cache_path)
    entries: List[Tuple[str, str, str, int]] = []
    changed: List[Tuple[str, int]] = []
    fresh: Dict[str, Known] = {}
    for path, found in listing.files:
        record = known.get(path)
        if (
            record is not None
            and record[0] == found.st_size
            and record[1] == found.st_mtime_ns
            and record[2] == found.st_ctime_ns
            and record[3] == found.st_ino
        ):
            fresh[path] = record
            kind = manifest.EXECUTABLE if found.st_mode & S_IXUSR else manifest.FILE
            entries.append((path, kind, record[4], found.st_size))
        else:
            changed.append((path, found.st_size))
    unchanged = len(fresh)
    entries.extend(_read_changed(listing.root, changed, fresh, on_progress, skipped))
    if len(fresh) != unchanged or unchanged != len(known):
        _save(cache_path, fresh)
    entries.extend((path, manifest.SYMLINK, target, 0) for path, target in listing.links)
    entries.extend((path, manifest.FOLDER, "", 0) for path in listing.empty)
    entries.sort()
    return Bundle(listing.root, entries)


def open_file(path: str) -> BinaryIO:
    """Open a regular file for reading. Raises BundleError."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        raise BundleError("{} cannot be read: {}.".format(path, error.strerror)) from error
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _changed(path, "while it was being sent")
    return os.fdopen(descriptor, "rb", buffering=0)


def read_verified(path: str, digest: str, size: Optional[int] = None) -> Iterator[bytes]:
    """Yield the content of a file in chunks, the last one only if all had the digest expected.

    Raises BundleError where the file has changed, has another size, or cannot be read.
    """
    with open_file(path) as file:
        state = manifest.new_hash(os.fstat(file.fileno()).st_size)
        count = 0
        chunk = b""
        while True:
            following = _read(file.fileno(), path)
            state.update(following)
            count += len(following)
            wrong_size = size is not None and (count > size or (not following and count < size))
            if wrong_size or (not following and state.hexdigest() != digest):
                raise _changed(path, "while it was being sent")
            if chunk:
                yield chunk
            if not following:
                return
            chunk = following


def _read_changed(
    root: str,
    changed: List[Tuple[str, int]],
    fresh: Dict[str, Known],
    on_progress: Optional[Progress],
    skipped: Optional[Callable[[BundleError], None]],
) -> Iterator[Tuple[str, str, str, int]]:
    """Yield the entries of the files to read; put those that may be remembered into `fresh`."""
    total = sum(size for _, size in changed)
    done = 0
    for path, size in changed:
        started = time.time_ns()
        try:
            kind, record = _hash_file(os.path.join(root, path), path, total)
        except BundleError as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        if not _is_racy(record, started):
            fresh[path] = record
        done += size
        if on_progress is not None:
            on_progress(done, total)
        yield path, kind, record[4], record[0]


def _is_racy(record: Known, started: int) -> bool:
    """Tell whether a change after `started` (ns since the epoch) could leave the times as is.

    The time of the last status change cannot be set by programs, so it counts wherever it lies;
    a modification time set into the far future is as good as one in the past.
    """
    _, modified, status_changed, _, _ = record
    return status_changed > started - _RACY_NS or abs(modified - started) < _RACY_NS


def _hash_file(full: str, path: str, expected_bytes: int) -> Tuple[str, Known]:
    """Return the kind and the record of a file that did not change while it was read."""
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(full, _OPEN_FLAGS)
        except OSError as error:
            raise BundleError("{} cannot be read: {}.".format(path, error.strerror)) from error
        try:
            before = os.fstat(descriptor)
            state = manifest.new_hash(expected_bytes)
            count = 0
            while True:
                chunk = _read(descriptor, path)
                if not chunk:
                    break
                state.update(chunk)
                count += len(chunk)
                if count > before.st_size:
                    break  # it grows: do not follow a log file for ever
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        digest = str(state.hexdigest())
        record = _record(before, digest)
        unchanged = record == _record(after, digest) and count == before.st_size
        if unchanged and S_ISREG(before.st_mode):
            kind = manifest.EXECUTABLE if before.st_mode & S_IXUSR else manifest.FILE
            return kind, record
    raise _changed(path, "while it was being read")


def _record(found: os.stat_result, digest: str) -> Known:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, digest


def _read(descriptor: int, path: str) -> bytes:
    try:
        return os.read(descriptor, CHUNK)
    except OSError as error:
        raise BundleError("{} cannot be read: {}.".format(path, error.strerror)) from error


def _changed(path: str, when: str) -> BundleError:
    return BundleError(
        "{} changed {}.".format(path, when),
        "Submit again when nothing writes to it, or name it in .foundationsignore.",
    )


def _cache_path(root: str, cache_dir: str) -> str:
    name = manifest.digest(os.fsencode(os.path.realpath(root)))[:32]
    return os.path.join(cache_dir, name + ".json")


def _load(cache_path: str) -> Dict[str, Known]:
    """Return what is remembered; nothing where the file is missing, damaged or of another version.

    Its first line is a checksum of the rest, which is {path: record}.
    """
    try:
        with open(cache_path, "rb") as file:
            checksum, _, body = file.read().partition(b"\n")
    except OSError:
        return {}
    # The cache only saves time, so it is not worth telling anyone that it cannot be used.
    return json.loads(body) if checksum == _checksum(body) else {}


def _save(cache_path: str, files: Dict[str, Known]) -> None:
    body = json.dumps(files, separators=(",", ":")).encode("ascii")
    temporary = "{}.{}.{}".format(cache_path, os.getpid(), os.urandom(4).hex())
    try:
        os.makedirs(os.path.dirname(cache_path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(_checksum(body) + b"\n" + body)
        os.replace(temporary, cache_path)
    except OSError:
        # Full or read-only: the next submission reads the files again, nothing else is lost.
        if os.path.exists(temporary):
            os.unlink(temporary)


def _checksum(body: bytes) -> bytes:
    return b"atlas hashes %d %08x" % (_CACHE_VERSION, crc32(body))
