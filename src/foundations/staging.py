"""Copies of artifacts, made at once: the program may overwrite the original right after."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple


class StagedArtifact:
    """A copy: `staged` is its path below the artifact folder, `size` its content in bytes."""

    __slots__ = ("filename", "folder", "size", "staged")

    def __init__(self, staged: str, filename: str, size: int, folder: bool) -> None:
        self.staged = staged
        self.filename = filename
        self.size = size
        self.folder = folder


def stage(source: str, artifacts_dir: str) -> StagedArtifact:
    """Copy the file or folder `source` to `<artifacts_dir>/<random>/<its name>`.

    Of a folder, links to what lies inside of it stay links, links elsewhere are replaced by what
    they name, and links to nothing, sockets and pipes are left out. Raises FileNotFoundError for a
    missing source, ValueError for one that cannot be copied (a device, a folder that contains
    `artifacts_dir`), and other OSErrors as they come; then nothing of the copy is left.
    """
    import shutil

    mode = os.stat(source).st_mode
    folder = stat.S_ISDIR(mode)
    if not folder and not stat.S_ISREG(mode):
        raise ValueError("Artifact {!r} is neither a file nor a folder.".format(source))
    if folder and _contains(source, artifacts_dir):
        raise ValueError("Folder {!r} contains the place where artifacts are kept.".format(source))
    filename = readable(os.path.basename(os.path.abspath(source)))
    name = os.urandom(8).hex()
    holder = os.path.join(artifacts_dir, name)
    os.makedirs(holder)
    try:
        target = os.path.join(holder, filename)
        size = _copy_folder(source, target, holder) if folder else _copy_file(source, target)
    except BaseException:
        shutil.rmtree(holder, ignore_errors=True)
        raise
    return StagedArtifact("{}/{}".format(name, filename), filename, size, folder)


def readable(name: str) -> str:
    """Return a file's name with bytes that are no UTF-8 replaced: it travels as JSON."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _contains(folder: str, path: str) -> bool:
    root = os.path.realpath(folder)
    return os.path.commonpath([root, os.path.realpath(path)]) == root


def _copy_file(source: str, target: str) -> int:
    """Copy a file's content and return its size.

    Not its mode: who collects the copy may be another user, who could neither read a private file
    nor remove things from a read-only folder.
    """
    import shutil

    shutil.copyfile(source, target)
    return os.stat(target).st_size


def _copy_folder(source: str, target: str, holder: str) -> int:
    root = os.path.realpath(source)
    total = 0
    os.mkdir(target)
    for path, copy in _walk(root, target, root, (root, os.path.realpath(holder))):
        total += _copy_file(path, copy)
    return total


def _walk(
    source: str, target: str, root: str, endless: Tuple[str, ...]
) -> Iterator[Tuple[str, str]]:
    """Make the folders and inner links of `source` in `target`; yield the (file, copy) pairs.

    `endless` are real paths of folders that a link must not lead into: those being copied, and the
    one that holds the copy.
    """
    with os.scandir(source) as entries:
        for entry in entries:
            copy = os.path.join(target, entry.name)
            if entry.is_symlink() and _stays_inside(entry.path, root):
                os.symlink(os.readlink(entry.path), copy)
            elif entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in endless:
                    os.mkdir(copy)
                    yield from _walk(entry.path, copy, root, (*endless, real))
            elif entry.is_file():
                yield entry.path, copy


def _stays_inside(link: str, root: str) -> bool:
    """Whether `link` names something that exists below `root`, by a path that never leaves it.

    In a folder that was itself reached by a link, a link does not count: what it names is not at
    the same place in the copy.
    """
    named = os.readlink(link)
    folder = os.path.dirname(link)
    if os.path.isabs(named) or not os.path.exists(link):
        return False
    if not (_contains(root, folder) and _contains(root, link)):
        return False
    parts = [part for part in os.path.relpath(folder, root).split(os.sep) if part != "."]
    depth = len(parts)
    for part in named.split(os.sep):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:  # out and back in: the copy may be called differently
            return False
    return True
