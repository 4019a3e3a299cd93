"""Which files of a job's folder stay behind: `.foundationsignore`, in the syntax of gitignore.

As in git, a file in a subfolder counts for that subfolder and beats those above it, the last
matching line of a file wins, `!` takes a line back, and nothing below an ignored folder can be
brought back. What a `.gitignore` names is sent all the same: data folders stand there, and jobs
need them. One difference: `?` and `[...]` stand for a character where git takes a byte.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, List, Match, Optional, Tuple

    # (kind of match, text to compare or glob, negated, for folders only)
    Pattern = Tuple[int, str, bool, bool]

IGNORE_FILE = ".foundationsignore"

DEFAULT_NAMES = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        "__pycache__",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".nox",
        ".DS_Store",
    }
)
DEFAULT_SUFFIX = ".pyc"
# A folder that holds one of these is a virtual or a conda environment.
ENVIRONMENT_MARKS = ("pyvenv.cfg", "conda-meta")

_NAME, _NAME_END, _NAME_GLOB, _PATH, _PATH_GLOB = range(5)
_SPECIAL = frozenset("*?[\\")

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


class Rules:
    """The rules that hold in one folder: its own ignore file over those of the folders above."""

    __slots__ = ("_above", "_compiled", "_patterns", "_start")

    def __init__(self, text: str = "", folder: str = "", above: Optional[Rules] = None) -> None:
        """`text` is the ignore file of `folder`, a '/'-separated path or "" for the top."""
        self._patterns = _parse(text)
        self._patterns.reverse()
        self._compiled: dict[str, Optional[re.Pattern[str]]] = {}
        self._start = len(folder) + 1 if folder else 0
        self._above = above

    def __bool__(self) -> bool:
        """Tell whether there is any rule besides the defaults."""
        return bool(self._patterns) or bool(self._above)

    def verdict(self, path: str, name: str, is_folder: bool) -> Optional[bool]:
        """Say whether ignore files ignore (True) or keep (False) the path; None: not named."""
        for kind, text, negated, folders_only in self._patterns:
            if folders_only and not is_folder:
                continue
            if kind == _NAME:
                matched = name == text
            elif kind == _NAME_END:
                matched = name.endswith(text)
            elif kind == _PATH:
                matched = path[self._start :] == text
            else:
                subject = name if kind == _NAME_GLOB else path[self._start :]
                matched = self._match(text, subject) is not None
            if matched:
                return not negated
        return self._above.verdict(path, name, is_folder) if self._above is not None else None

    def ignores(self, path: str, name: str, is_folder: bool) -> bool:
        """Tell whether the entry `name` at `path` stays behind, by ignore files or by default."""
        verdict = self.verdict(path, name, is_folder)
        return ignored_by_default(name) if verdict is None else verdict

    def ignores_environment(self, path: str, name: str, names: Container[str]) -> bool:
        """Tell whether the folder holding `names` is an environment that no line takes back."""
        return is_environment(names) and self.verdict(path, name, True) is not False

    def _match(self, glob: str, subject: str) -> Optional[Match[str]]:
        try:
            compiled = self._compiled[glob]
        except KeyError:
            compiled = self._compiled[glob] = _compile(glob)
        return compiled.match(subject) if compiled is not None else None


def ignored_by_default(name: str) -> bool:
    """Tell whether a file or folder of this name stays behind where no ignore file names it."""
    return name in DEFAULT_NAMES or name.endswith(DEFAULT_SUFFIX)


def is_environment(names: Container[str]) -> bool:
    """Tell whether a folder that holds `names` is a Python environment."""
    return ENVIRONMENT_MARKS[0] in names or ENVIRONMENT_MARKS[1] in names


def _parse(text: str) -> List[Pattern]:
    patterns = []
    if text.startswith("\ufeff"):
        text = text[1:]
    for line in text.split("\n"):
        if line.endswith("\r"):
            line = line[:-1]
        line = _without_trailing_spaces(line.partition("\0")[0])
        if line and not line.startswith("#"):
            patterns.append(_pattern(line))
    return patterns


def _without_trailing_spaces(line: str) -> str:
    end = len(line.rstrip(" "))
    if end == len(line):
        return line
    # A backslash keeps the first of the spaces, unless a backslash before makes it a plain one.
    slashes = end - len(line[:end].rstrip("\\"))
    return line[: end + 1] if slashes % 2 else line[:end]


def _pattern(line: str) -> Pattern:
    negated = line.startswith("!")
    if negated:
        line = line[1:]
    folders_only = line.endswith("/")
    if folders_only:
        line = line[:-1]
    if "/" in line:
        glob = line[1:] if line.startswith("/") else line
        kind = _PATH if _SPECIAL.isdisjoint(glob) else _PATH_GLOB
        return kind, glob, negated, folders_only
    if _SPECIAL.isdisjoint(line):
        return _NAME, line, negated, folders_only
    if line.startswith("*") and _SPECIAL.isdisjoint(line[1:]):
        return _NAME_END, line[1:], negated, folders_only
    return _NAME_GLOB, line, negated, folders_only


def _compile(glob: str) -> Optional[re.Pattern[str]]:
    """Return the expression for a glob; None for one that can match nothing."""
    parts = []
    position = 0
    while position < len(glob):
        char = glob[position]
        if char == "*":
            part, position = _stars(glob, position)
        elif char == "?":
            part, position = "[^/]", position + 1
        elif char == "[":
            bracket = _bracket(glob, position)
            if bracket is None:
                return None
            part, position = bracket
        elif char == "\\":
            if position + 1 == len(glob):
                return None
            part, position = re.escape(glob[position + 1]), position + 2
        else:
            part, position = re.escape(char), position + 1
        parts.append(part)
    return re.compile("(?s:" + "".join(parts) + r")\Z")


def _stars(glob: str, start: int) -> Tuple[str, int]:
    end = start
    while end < len(glob) and glob[end] == "*":
        end += 1
    after_slash = start == 0 or glob[start - 1] == "/"
    if end - start >= 2 and after_slash:
        if end == len(glob):
            return ".*", end
        if glob[end] == "/":
            return "(?:.*/)?", end + 1
    return "[^/]*", end


def _bracket(glob: str, start: int) -> Optional[Tuple[str, int]]:
    """Return the expression for the class that opens at `start` and the position after it."""
    position = start + 1
    negated = glob[position : position + 1] in ("!", "^")
    if negated:
        position += 1
    members: List[str] = []
    previous = ""  # the character that a following '-' would start a range with
    opening = position
    while glob[position : position + 1] != "]" or position == opening:
        named = _named_class(glob, position)
        following = glob[position + 1 : position + 2]
        if named is not None:
            member, position = named
            previous = ""
        elif glob[position : position + 1] == "-" and previous and following not in ("", "]"):
            char, position = _literal(glob, position + 1)
            ordered = char and previous <= char
            member = "{}-{}".format(re.escape(previous), re.escape(char)) if ordered else ""
            previous = ""
        else:
            char, position = _literal(glob, position)
            member, previous = re.escape(char), char
        if position > len(glob):
            return None
        members.append(member)
    inside = "".join(members)
    if negated:
        return "[^/{}]".format(inside), position + 1
    # A range the wrong way round holds nothing, and no class holds a slash.
    return "(?!/)[{}]".format(inside) if inside else "(?!)", position + 1


def _literal(glob: str, position: int) -> Tuple[str, int]:
    """Return a character, freed of its backslash, and the position after it."""
    if glob[position : position + 1] == "\\":
        position += 1
    return glob[position : position + 1], position + 1


def _named_class(glob: str, position: int) -> Optional[Tuple[str, int]]:
    """Return the members of a class like [:alpha:] at `position` and the position after it.

    The position lies behind the end of the glob where that makes the whole glob invalid.
    """
    if glob[position : position + 2] != "[:":
        return None
    end = glob.find("]", position + 2)
    if end < 0:
        return "", len(glob) + 1
    if end == position + 2 or glob[end - 1] != ":":
        return None
    members = _CLASSES.get(glob[position + 2 : end - 1])
    return (members, end + 1) if members is not None else ("", len(glob) + 1)
