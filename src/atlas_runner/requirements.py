"""What a requirements file says, as far as it decides which environment fits it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_INCLUDE = re.compile(r"^(?:-r|-c|--requirement|--constraint)[\s=]*(.+)$")
_EDITABLE = re.compile(r"^(?:-e|--editable)[\s=]*(.+)$")
_FIND_LINKS = re.compile(r"^(?:-f|--find-links)[\s=]*(.+)$")
_COMMENT = re.compile(r"(^|\s)#.*$")
_CONTINUED = re.compile(r"\\\r?\n")
_ARCHIVE = re.compile(r"\.(whl|zip|tar|tar\.(gz|bz2|xz)|tgz)$", re.IGNORECASE)


_NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[[^]]*\])?\s*(?:$|[=<>!~;])")
_NAMED_PLACE = re.compile(r"^[A-Za-z0-9][\w.-]*\s*(?:\[[^]]*\])?\s*@\s*(.+)$")


class Requirements:
    """A requirements file with all that it includes.

    `empty`: it asks for nothing. `local`: it names files of the job's own folder, so that an
    environment fits this code only. `unshared`: it names folders that may change under the
    environment, which therefore fits this run only. `names`: the packages that it asks for by name;
    `unnamed`: it asks for others, too.
    """

    def __init__(self, job_dir: Path) -> None:
        self.empty = True
        self.local = False
        self.unshared = self.unnamed = False
        self.names: set[str] = set()
        self._job_dir = job_dir
        self._seen: set[str] = set()
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the contents of all files, in the order they are included."""
        return self._hash.digest()

    def take_in(self, path: Path) -> None:
        """Add a file and those that it includes. Raises OSError when it cannot be read."""
        content = path.read_bytes()
        self._seen.add(os.path.realpath(path))
        self._hash.update(b"%d:" % len(content) + content)
        for line in _lines(content.decode(errors="replace")):
            include = _INCLUDE.match(line)
            if include is None:
                self._judge(line)
            elif "://" in include[1]:
                self.empty = False
                self.unnamed = True
            else:
                self._include(path.parent / _unquoted(include[1]))

    def _include(self, path: Path) -> None:
        if os.path.realpath(path) in self._seen:
            return
        try:
            self.take_in(path)
        except OSError:
            self.empty = False  # the installer will say what is wrong with it

    def _judge(self, line: str) -> None:
        self.empty = False
        self._take_name(line)
        links = _FIND_LINKS.match(line)
        if _EDITABLE.match(line):
            self.local = self.unshared = True
        elif links is not None:
            # A folder of wheels elsewhere is an index like any other; one of the job is its code.
            place = _unquoted(links[1]).removeprefix("file:").removeprefix("//")
            self.local |= "://" not in place and self._inside(self._job_dir / place)
        elif not line.startswith("-"):
            place = _local_place(line)
            if place is not None:
                self.local = True
                self._judge_outside(self._job_dir / place)

    def _take_name(self, line: str) -> None:
        name = _NAME.match(line)
        if name is not None:
            self.names.add(re.sub(r"[-_.]+", "-", name[1]).lower())
        elif _EDITABLE.match(line) or not line.startswith("-"):
            self.unnamed = True

    def _judge_outside(self, path: Path) -> None:
        """Take in what lies outside of the job's folder, which the job's content does not fix."""
        if self._inside(path):
            return
        if path.is_file():
            facts = path.stat()
            self._hash.update(f"{path}:{facts.st_mtime_ns}:{facts.st_size}".encode())
        else:
            self.unshared = True

    def _inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._job_dir))


def read_requirements(path: Path, job_dir: Path) -> Requirements:
    """Read `path`, whose relative paths start at `job_dir`, and the files that it includes.

    Raises OSError when `path` itself cannot be read; a missing included file is the installer's
    to report.
    """
    found = Requirements(job_dir)
    found.take_in(path)
    return found


def _lines(text: str) -> Iterator[str]:
    for raw in _CONTINUED.sub("", text).splitlines():
        line = _COMMENT.sub("", raw).strip()
        if line:
            yield line


def _unquoted(text: str) -> str:
    return os.path.expandvars(text.strip().strip("'\""))


def _local_place(line: str) -> str | None:
    """Return the path that a requirement names; None for one that comes from elsewhere."""
    target = re.split(r"\s--|;", line)[0].strip()
    named = _NAMED_PLACE.match(target)
    target = _unquoted(named[1] if named else target)
    if target.startswith("file:"):
        target = target.removeprefix("file:").removeprefix("//")
    elif "://" in target or not (os.sep in target or _ARCHIVE.search(target)):
        return None
    return re.sub(r"\[[^]]*\]$", "", target.partition("#")[0])
