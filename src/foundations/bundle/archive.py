"""Tar streams: how a job's files travel from the server to a person."""

from __future__ import annotations

import errno
import os
import tarfile
from gzip import GzipFile

from foundations.bundle.tree import TreeWriter, storage_full
from foundations.contract import manifest
from foundations.errors import BundleError, UnsafePathError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Callable, Iterable, List, Optional, Tuple, Union

    # path, kind as in a manifest, size in bytes or a symlink's target, and for files what opens it
    Member = Tuple[str, str, Union[int, str], Optional[Callable[[], BinaryIO]]]

_CHUNK = 1 << 20
# Higher levels take several times as long for a few percent.
_GZIP_LEVEL = 4


def write_tar(
    fileobj: BinaryIO,
    members: Iterable[Member],
    prefix: str,
    gzip: bool = True,
    mtime: float = 0,
) -> None:
    """Write the members below the folder `prefix` as a tar stream; `fileobj` needs only `write`.

    A member is (path, kind, size or target, opener): kind as in a manifest, the size in bytes of
    a file or the target of a symlink (anything for an empty folder), and a function that opens the
    file. All get the time `mtime`, in seconds since the epoch. Raises BundleError for a file that
    does not have its size, and UnsafePathError for a path that no manifest could hold.
    """
    if gzip:
        with GzipFile("", "wb", _GZIP_LEVEL, fileobj, mtime=0) as packed:
            _write_plain(packed, members, prefix, mtime)  # type: ignore[arg-type]
    else:
        _write_plain(fileobj, members, prefix, mtime)


def _write_plain(fileobj: BinaryIO, members: Iterable[Member], prefix: str, mtime: float) -> None:
    with tarfile.open(
        mode="w|",
        fileobj=fileobj,
        format=tarfile.PAX_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    ) as tar:
        for path, kind, value, opener in members:
            manifest.check_path(path)
            info = tarfile.TarInfo(prefix + "/" + path if prefix else path)
            info.mtime = int(mtime)
            if kind == manifest.FOLDER:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            elif kind == manifest.SYMLINK:
                info.type, info.mode = tarfile.SYMTYPE, 0o777
                info.linkname = manifest.check_target(path, value)
                tar.addfile(info)
            else:
                info.mode = 0o755 if kind == manifest.EXECUTABLE else 0o644
                info.size = int(value)
                _add_file(tar, info, opener)


def _add_file(
    tar: tarfile.TarFile, info: tarfile.TarInfo, opener: Optional[Callable[[], BinaryIO]]
) -> None:
    if opener is None:
        raise BundleError("{!r} has no content.".format(info.name))
    with opener() as file:
        counted = _Counted(file)
        try:
            tar.addfile(info, counted)  # type: ignore[arg-type]
        except OSError as error:
            if counted.count >= info.size:
                raise
            raise BundleError("{!r} is shorter than announced.".format(info.name)) from error


class _Counted:
    """Counts the bytes read, to tell a short file from a reader that has gone away."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data


def extract_tar(fileobj: BinaryIO, dest: str, max_bytes: Optional[int] = None) -> List[str]:
    """Unpack a tar stream, compressed or not, in the folder `dest`; return the names now in it.

    Either everything is unpacked or nothing: `dest` must not hold any of the names at the top of
    the stream. Executable bits are kept, other modes, owners and times are not. Raises
    UnsafePathError for a path that leaves its folder, lies below a file or occurs twice, and
    BundleError for a device, hard link, damaged stream, or more than `max_bytes` of content.
    """
    from shutil import rmtree
    from tempfile import mkdtemp

    os.makedirs(dest, exist_ok=True)
    staging = mkdtemp(prefix=".unpacking-", dir=dest)
    try:
        with TreeWriter(staging) as writer:
            _extract(fileobj, writer, max_bytes)
        names = sorted(os.listdir(staging))
        for name in names:
            if os.path.lexists(os.path.join(dest, name)):
                raise BundleError(
                    "{} exists.".format(os.path.join(dest, name)),
                    "Delete it or choose another directory.",
                )
        for name in names:
            os.rename(os.path.join(staging, name), os.path.join(dest, name))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise storage_full() from error
        raise
    finally:
        rmtree(staging)
    return names


def _extract(fileobj: BinaryIO, writer: TreeWriter, max_bytes: Optional[int]) -> None:
    paths: List[str] = []
    folders: List[str] = []
    links: List[Tuple[str, str]] = []
    left = max_bytes
    try:
        with _opened(fileobj) as tar:
            for info in tar:
                path = manifest.check_path(info.name)
                if len(paths) + len(folders) >= manifest.MAX_ENTRIES:
                    raise BundleError("The archive has too many entries.")
                if info.isdir():
                    folders.append(path)
                    writer.folder(path)
                    continue
                paths.append(path)
                if info.issym():
                    links.append((path, manifest.check_target(path, info.linkname)))
                elif info.isreg() and not info.issparse():
                    if left is not None:
                        left -= info.size
                        if left < 0:
                            raise BundleError("The archive holds more than was announced.")
                    _extract_file(tar, info, path, writer)
                else:
                    raise BundleError("{!r} is neither file, folder nor symlink.".format(path))
            _check_no_clash(paths, folders)
            # Last, so that nothing above was written through one of them.
            for path, target in links:
                writer.symlink(path, target)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged() from error


def _opened(fileobj: BinaryIO) -> tarfile.TarFile:
    try:
        return tarfile.open(mode="r|*", fileobj=fileobj, encoding="utf-8", errors="surrogateescape")
    except (AttributeError, TypeError) as error:
        # Bugs of tarfile in reading a damaged gzip header: it asks for the `exception` of its
        # stream before it has set it, and for the ord() of the byte that a short one lacks.
        raise _damaged() from error


def _damaged() -> BundleError:
    return BundleError("The archive is damaged or cut short.", "Fetch it again.")


def _extract_file(
    tar: tarfile.TarFile, info: tarfile.TarInfo, path: str, writer: TreeWriter
) -> None:
    source = tar.extractfile(info)
    descriptor = writer.file(path, 0o755 if info.mode & 0o100 else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        left = info.size
        while left:
            chunk = source.read(min(left, _CHUNK)) if source is not None else b""
            if not chunk:
                raise BundleError("The archive is cut short.", "Fetch it again.")
            file.write(chunk)
            left -= len(chunk)


def _check_no_clash(paths: List[str], folders: List[str]) -> None:
    seen = set(paths)
    twice = len(seen) != len(paths) or len(set(folders)) != len(folders)
    if twice or not seen.isdisjoint(folders):
        raise UnsafePathError("The archive names something twice.")
    manifest.check_tree(paths)
    for folder in folders:
        parent = folder.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise UnsafePathError("{!r} lies below a file.".format(folder))
            parent = parent.rpartition("/")[0]
