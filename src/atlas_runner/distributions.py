"""Which packages lie in the package folders of an interpreter. Runs on Python 3.8 too."""

from __future__ import annotations

import os
import re
from typing import Dict, Iterable, Iterator, NamedTuple, Optional, Tuple


class Distribution(NamedTuple):
    """An installed package, as the folder (or file) of its metadata tells."""

    name: str
    version: str
    metadata: str


_listed: Dict[str, Tuple[int, Tuple[Distribution, ...]]] = {}


def distributions(site_dirs: Iterable[str]) -> Dict[str, Distribution]:
    """Return the packages of some folders by normalised name; the first folder wins."""
    found: Dict[str, Distribution] = {}
    for folder in site_dirs:
        for entry in _list(folder):
            found.setdefault(entry.name, entry)
    return dict(sorted(found.items()))


def _list(folder: str) -> Tuple[Distribution, ...]:
    try:
        changed = os.stat(folder).st_mtime_ns
        known = _listed.get(folder)
        if known is None or known[0] != changed:
            known = _listed[folder] = (changed, tuple(_read(folder)))
    except OSError:
        return ()  # removed since the interpreter was asked
    return known[1]


def _read(folder: str) -> Iterator[Distribution]:
    for entry in os.listdir(folder):
        found = named_by(folder, entry)
        if found is not None:
            yield found


def named_by(folder: str, entry: str) -> Optional[Distribution]:
    """Return the package whose metadata the entry `entry` of a package folder is, if it is any."""
    stem, dot, kind = entry.rpartition(".")
    if kind not in ("dist-info", "egg-info") or not dot or stem.startswith("~"):
        return None  # pip renames what it is about to remove to ~name
    name, _, version = stem.partition("-")
    metadata = os.path.join(folder, entry)
    if kind == "egg-info":
        version = re.sub(r"-py\d(\.\d+)?.*$", "", version) or _declared_version(metadata)
    return Distribution(re.sub(r"[-_.]+", "-", name).lower(), version, metadata)


def _declared_version(metadata: str) -> str:
    """Return the version in an egg-info without one in its name: a package under development."""
    try:
        with open(os.path.join(metadata, "PKG-INFO"), errors="replace") as file:
            found = re.search(r"^Version: *(\S+)", file.read(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""
