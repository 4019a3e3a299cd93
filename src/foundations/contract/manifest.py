"""Manifest: what a job's folder holds, as canonical JSON bytes. No I/O.

    {"version":1,"entries":[[path, kind, value, size], ...]}

sorted by path, no spaces, ASCII only, so that equal folders have equal bytes and one digest. Paths
are relative and '/'-separated; bytes of a name that are not UTF-8 travel as surrogate escapes.

    kind         value                        size
    f  file      sha256 of the content, hex   bytes
    x  the same, executable
    l  symlink   its target, relative         0
    d  an EMPTY folder    ""                  0

Other folders are implied by the paths below them. Nothing lies below an entry, so no path leads
through a symlink, and a symlink's target climbs (..) only at its start and never above the top.
Whoever creates the entries of a decoded manifest in an empty folder therefore stays inside it.
"""

from __future__ import annotations

import json
import sys
from collections import namedtuple

from foundations.errors import BundleError, UnsafePathError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, NamedTuple, Set, Tuple

    class Entry(NamedTuple):
        """One line of a manifest: see the table above."""

        path: str
        kind: str
        value: str
        size: int

else:
    Entry = namedtuple("Entry", "path kind value size")

VERSION = 1
FILE = "f"
EXECUTABLE = "x"
SYMLINK = "l"
FOLDER = "d"

MAX_ENTRIES = 500_000
MAX_MANIFEST_BYTES = 128 * 1024 * 1024
MAX_PATH_BYTES = 4095
MAX_NAME_BYTES = 255
# Deeper trees overflow the stack of the many tools (rm -r of Python among them) that recurse.
MAX_DEPTH = 250
MAX_FILE_BYTES = 1 << 50

_HEX = frozenset("0123456789abcdef")
# Loading OpenSSL costs milliseconds, more than it saves on less than this many bytes.
_SMALL = 1 << 20


def new_hash(expected_bytes: int = _SMALL) -> Any:
    """Return a sha256 object, of the implementation that starts fastest for so many bytes."""
    if expected_bytes < _SMALL:
        # By its name: a type checker does not see what is part of the interpreter itself.
        try:
            return __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256()
        except ImportError:  # an interpreter built without them
            pass
    from hashlib import sha256

    return sha256()


def digest(data: bytes) -> str:
    """Return the name of content: its sha256 as 64 hexadecimal digits."""
    state = new_hash(len(data))
    state.update(data)
    return str(state.hexdigest())


def is_digest(text: object) -> bool:
    """Tell whether `text` is a digest as `digest` writes it."""
    return isinstance(text, str) and len(text) == 64 and _HEX.issuperset(text)


def encode(entries: Iterable[Tuple[str, str, str, int]]) -> bytes:
    """Return the manifest of `entries`, which may come in any order and are not checked."""
    body = {"version": VERSION, "entries": sorted(entries)}
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def decode(data: bytes) -> List[Entry]:
    """Return the entries of a manifest from an untrusted sender, each and all of them checked.

    Raises UnsafePathError where an entry would leave its folder or has an impossible name and
    BundleError for everything else that `encode` does not produce.
    """
    rows = _rows(data)
    entries = [_entry(row) for row in rows]
    _check_tree(entries)
    if encode(entries) != data:
        raise BundleError("The manifest is not in canonical form.")
    return entries


def blob_digests(entries: Iterable[Tuple[str, str, str, int]]) -> Set[str]:
    """Return the digests of the contents that the entries name."""
    return {value for _, kind, value, _ in entries if kind == FILE or kind == EXECUTABLE}


def total_size(entries: Iterable[Tuple[str, str, str, int]]) -> int:
    """Return the size in bytes of all files, counting a content as often as it occurs."""
    return sum(entry[3] for entry in entries)


def check_path(path: object) -> str:
    """Return `path` if it may name an entry; raise UnsafePathError or BundleError otherwise."""
    text = _check_text(path, "path")
    if text.startswith("/"):
        raise UnsafePathError("The path {!r} is absolute.".format(text))
    names = text.split("/")
    if len(names) > MAX_DEPTH:
        raise BundleError("The path {!r}... is nested too deeply.".format(text[:80]))
    for name in names:
        if name in ("", ".", ".."):
            raise UnsafePathError("The path {!r} has an empty, '.' or '..' part.".format(text))
        if len(name) > 63 and len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
            raise BundleError("The name {!r}... is too long.".format(name[:80]))
    return text


def is_inside(path: str, target: str) -> bool:
    """Tell whether a symlink at `path` with this target stays inside, whatever lies there.

    '..' after a name may mean another folder than it seems to, where the name is a symlink too;
    so it counts as leaving.
    """
    if not target or target.startswith("/"):
        return False
    climbed = 0
    named = False
    for name in target.split("/"):
        if name == "..":
            if named:
                return False
            climbed += 1
        elif name not in ("", "."):
            named = True
    return climbed <= path.count("/")


def _rows(data: bytes) -> List[Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(
            "The manifest is larger than {} MB.".format(MAX_MANIFEST_BYTES // 1_000_000),
            "Name folders that the job does not need in .foundationsignore.",
        )
    try:
        body = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise BundleError("The manifest is not JSON.") from error
    if not isinstance(body, dict) or set(body) != {"version", "entries"}:
        raise BundleError("The manifest is not an object of version and entries.")
    if type(body["version"]) is not int or body["version"] != VERSION:
        raise BundleError("The manifest is not of version {}.".format(VERSION))
    rows = body["entries"]
    if not isinstance(rows, list):
        raise BundleError("The manifest's entries are not a list.")
    if len(rows) > MAX_ENTRIES:
        raise BundleError(
            "The folder has more than {:,} files.".format(MAX_ENTRIES),
            "Name folders that the job does not need in .foundationsignore.",
        )
    return rows


def _entry(row: object) -> Entry:
    if not isinstance(row, list) or len(row) != 4:
        raise BundleError("An entry of the manifest is not [path, kind, value, size].")
    path = check_path(row[0])
    kind, value, size = row[1:]
    if kind == FILE or kind == EXECUTABLE:
        if not is_digest(value):
            raise BundleError("The digest of {!r} is not a sha256.".format(path))
        if type(size) is not int or not 0 <= size <= MAX_FILE_BYTES:
            raise BundleError("The size of {!r} is impossible.".format(path))
    elif kind == SYMLINK or kind == FOLDER:
        if type(size) is not int or size != 0:
            raise BundleError("The size of {!r} is not 0.".format(path))
        if kind == SYMLINK:
            check_target(path, value)
        elif value != "":
            raise BundleError("The folder {!r} has a value.".format(path))
    else:
        raise BundleError("The kind of {!r} is unknown.".format(path))
    return Entry(path, kind, value, size)


def check_target(path: str, target: object) -> str:
    """Return the target of the symlink at `path` if it stays inside; raise otherwise."""
    text = _check_text(target, "target")
    if not is_inside(path, text):
        raise UnsafePathError("The symlink {!r} leads out of its folder: {!r}.".format(path, text))
    return text


def check_tree(paths: Iterable[str]) -> None:
    """Raise UnsafePathError where one of the paths (all different) lies below another."""
    known = set(paths)
    parents: Set[str] = set()
    for path in known:
        parent = path.rpartition("/")[0]
        while parent and parent not in parents:
            if parent in known:
                raise UnsafePathError(
                    "{!r} lies below {!r}, which is not a folder.".format(path, parent)
                )
            parents.add(parent)
            parent = parent.rpartition("/")[0]


def _check_tree(entries: List[Entry]) -> None:
    previous = ""
    for entry in entries:
        if entry.path <= previous:
            problem = "occurs twice" if entry.path == previous else "is not in order"
            raise UnsafePathError("The path {!r} {}.".format(entry.path, problem))
        previous = entry.path
    check_tree(entry.path for entry in entries)


def _check_text(text: object, what: str) -> str:
    """Return text that stands for exactly one sequence of bytes in a file system."""
    if not isinstance(text, str) or not text:
        raise BundleError("A {} in the manifest is not a text.".format(what))
    if "\0" in text:
        raise UnsafePathError("The {} {!r} holds a NUL.".format(what, text))
    length = len(text)
    if not text.isascii():
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise UnsafePathError("The {} {!r} is not a file name.".format(what, text)) from error
        if raw.decode("utf-8", "surrogateescape") != text:
            # Escaped bytes that are UTF-8 after all: a second spelling of one file's name.
            raise UnsafePathError("The {} {!r} is ambiguous.".format(what, text))
        length = len(raw)
    if length > MAX_PATH_BYTES:
        raise BundleError("The {} {!r}... is too long.".format(what, text[:80]))
    return text
