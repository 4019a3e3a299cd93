"""A job's folder as it lies on disk: what would be sent, and how large it is.

`list_folder` only looks at names and sizes; `foundations.bundle.hashing` reads the contents.
"""

from __future__ import annotations

import os
from stat import S_ISBLK, S_ISCHR, S_ISFIFO, S_ISREG, S_ISSOCK

from foundations.bundle.hashing import Bundle, hash_listing, read_verified
from foundations.bundle.ignore import IGNORE_FILE, Rules, ignored_by_default
from foundations.contract.manifest import is_inside
from foundations.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional, Tuple

__all__ = [
    "Bundle",
    "Listing",
    "hash_listing",
    "human_size",
    "list_folder",
    "read_verified",
    "size_warning",
]

_MB = 1_000_000
_IGNORE_HINT = "Name it in {} if the job does not need it.".format(IGNORE_FILE)


class Listing:
    """What of a folder would be sent.

    root         absolute path of the folder
    files        (path, stat result) of each regular file
    links        (path, target) of each symlink, targets relative
    empty        paths of folders that hold nothing to send
    total_size   bytes of all files
    """

    __slots__ = ("empty", "files", "links", "root", "total_size")

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: List[Tuple[str, os.stat_result]] = []
        self.links: List[Tuple[str, str]] = []
        self.empty: List[str] = []
        self.total_size = 0

    @property
    def count(self) -> int:
        """The number of files and symlinks."""
        return len(self.files) + len(self.links)

    def largest(self, n: int = 3) -> List[Tuple[str, int]]:
        """Return path and size in bytes of the `n` largest files, the largest first."""
        sizes = [(path, found.st_size) for path, found in self.files]
        return sorted(sizes, key=lambda item: (-item[1], item[0]))[:n]


def list_folder(
    root: str, leave_out: str = "", skipped: Optional[Callable[[BundleError], None]] = None
) -> Listing:
    """Walk the folder `root` and return what of it would be sent, but for the folder `leave_out`.

    Raises BundleError, naming the path, for a folder or ignore file that cannot be read, a
    socket, pipe or device, and a symlink that leads out of the folder; or tells `skipped` of it
    and goes on.
    """
    listing = Listing(os.path.abspath(root))
    walk = _Walk(listing, leave_out, skipped or _refuse)
    todo: List[Tuple[str, Rules]] = [("", Rules())]
    while todo:
        folder, rules = todo.pop()
        try:
            entries = _entries(listing.root, folder)
            if folder and rules.ignores_environment(folder, folder.rpartition("/")[2], entries):
                continue
            if IGNORE_FILE in entries:
                rules = Rules(_read_ignore_file(listing.root, folder), folder, rules)
        except BundleError as error:
            walk.skipped(error)
            continue
        todo.extend(walk.sort(folder, entries, rules))
    return listing


def _refuse(error: BundleError) -> None:
    raise error


def _below(path: str, root: str) -> str:
    return os.path.relpath(os.path.realpath(path), os.path.realpath(root))


class _Walk:
    """Sorts what is found into a listing."""

    def __init__(
        self, listing: Listing, leave_out: str, skipped: Callable[[BundleError], None]
    ) -> None:
        self.skipped = skipped
        self._listing = listing
        self._hidden = _below(leave_out, listing.root) if leave_out else ""

    def sort(
        self, folder: str, entries: Dict[str, os.DirEntry[str]], rules: Rules
    ) -> Iterator[Tuple[str, Rules]]:
        """Add the entries of a folder; yield the folders among them, to be looked into."""
        prefix = folder + "/" if folder else ""
        kept = False
        only_defaults = not rules
        for name, entry in entries.items():
            path = prefix + name
            is_folder = entry.is_dir(follow_symlinks=False)
            if ignored_by_default(name) if only_defaults else rules.ignores(path, name, is_folder):
                continue
            kept = True
            if is_folder:
                if path != self._hidden:
                    yield path, rules
                continue
            try:
                if entry.is_symlink():
                    self._listing.links.append((path, _link_target(self._listing.root, path)))
                else:
                    _add_file(self._listing, path, entry)
            except BundleError as error:
                self.skipped(error)
        if folder and not kept:
            self._listing.empty.append(folder)


def _entries(root: str, folder: str) -> Dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(os.path.join(root, folder) if folder else root) as found:
            return {entry.name: entry for entry in found}
    except OSError as error:
        raise BundleError(
            "The folder {} cannot be read: {}.".format(_shown(folder or root), error.strerror),
            _IGNORE_HINT if folder else "",
        ) from error


def _add_file(listing: Listing, path: str, entry: os.DirEntry[str]) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # deleted since the folder was read: it is as if it had gone a moment earlier
    except OSError as error:
        message = "{} cannot be read: {}.".format(_shown(path), error.strerror)
        raise BundleError(message, _IGNORE_HINT) from error
    if not S_ISREG(found.st_mode):
        what = _special_kind(found.st_mode)
        raise BundleError("{} is {} and cannot be sent.".format(_shown(path), what), _IGNORE_HINT)
    listing.files.append((path, found))
    listing.total_size += found.st_size


def _special_kind(mode: int) -> str:
    if S_ISSOCK(mode):
        return "a socket"
    if S_ISFIFO(mode):
        return "a named pipe"
    return "a device" if S_ISCHR(mode) or S_ISBLK(mode) else "no regular file"


def _link_target(root: str, path: str) -> str:
    full = os.path.join(root, path)
    try:
        target = os.readlink(full)
    except OSError as error:
        message = "The symlink {} cannot be read: {}.".format(_shown(path), error.strerror)
        raise BundleError(message, _IGNORE_HINT) from error
    if is_inside(path, target):
        return target
    # Absolute, or through '..' after a name: only the file system knows whether it stays inside.
    top = os.path.realpath(root)
    base = os.path.realpath(os.path.dirname(full))
    real = os.path.realpath(os.path.join(base, target))
    if real != top and not real.startswith(os.path.join(top, "")):
        raise BundleError(
            "The symlink {} leads out of the folder, to {}.".format(_shown(path), _shown(target)),
            "Copy what the job needs into the folder, or name the link in {}.".format(IGNORE_FILE),
        )
    return os.path.relpath(real, base)


def _read_ignore_file(root: str, folder: str) -> str:
    path = os.path.join(root, folder, IGNORE_FILE)
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise BundleError("{} cannot be read: {}.".format(_shown(path), error.strerror)) from error


def _shown(path: str) -> str:
    """Return the path for a message: quoted where it would confuse a terminal."""
    return path if path.isprintable() else ascii(path)


def human_size(n: int) -> str:
    """Return a number of bytes as people write it, in powers of 1000: '999 B', '1.2 MB'."""
    if n < 1000:
        return "{} B".format(n)
    size = float(n)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5 or unit == "TB":
            break
    return "{:.1f} {}".format(size, unit) if size < 99.95 else "{:.0f} {}".format(size, unit)


def size_warning(total_size: int, largest: List[Tuple[str, int]]) -> Optional[str]:
    """Return one line about a folder of more than 50, 100 or 500 MB; None for a smaller one.

    `largest` are path and size in bytes of the files to name, the largest first.
    """
    if total_size <= 50 * _MB:
        return None
    named = ", ".join("{} ({})".format(_shown(path), human_size(n)) for path, n in largest)
    size = human_size(total_size)
    if total_size > 500 * _MB:
        text = "The job's folder is very large, {}: sending and unpacking it will take long."
        advice = "Keep data outside the folder, or name what the job does not need in {}."
    elif total_size > 100 * _MB:
        text = "The job's folder is large, {}: sending it may take a while."
        advice = "Name what the job does not need in {}."
    else:
        text = "The job's folder holds {}."
        advice = "Files that the job does not need can be named in {}."
    parts = [text.format(size), "Largest: {}.".format(named) if named else ""]
    return " ".join(part for part in [*parts, advice.format(IGNORE_FILE)] if part)
