"""Environments that nobody has used for long, and how they go while others are in use.

An environment is used when a job begins, and notes that by the time of its marker. So whoever
removes one says since when the oldest of the attempts has been going on that are not over: what was
used since may be in use still. Looking and removing hold the lock that whoever begins to use an
environment tries, too (`environment.used`): it never finds half of one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from atlas_runner.overlay import COMPLETE, satisfied
from foundations.disk import remove_tree, size_below, unique_name

FOLDERS = ("envs", "image-envs")
"""Where they are, below a home: of processes, and of images."""
_ASIDE = ".removed-"


class Old(NamedTuple):
    """An environment, when it was used last (seconds since the epoch), and its bytes."""

    place: Path
    used_at: float
    size: int


def old_environments(home: Path, unused_since: float) -> Iterator[Old]:
    """Yield what was used last before `unused_since`."""
    for folder in FOLDERS:
        for place in _places(home / folder):
            used_at = _used_at(place)
            if used_at is not None and used_at < unused_since:
                yield Old(place, used_at, size_below(str(place)))


def remove_environment(place: Path, unused_since: float) -> bool:
    """Delete one, unless it was used since, or somebody is at it now; return whether it went."""
    with _alone(place) as alone:
        used_at = _used_at(place)
        if not alone or used_at is None or used_at >= unused_since:
            return False
        satisfied(place).unlink(missing_ok=True)
        aside = place.with_name(f"{_ASIDE}{unique_name()}")
        if place.exists():
            place.rename(aside)
    # Thousands of files: nobody has to wait for that.
    remove_tree(str(aside))
    return True


def remove_remains(home: Path) -> None:
    """Delete what somebody left who was killed while deleting."""
    for folder in FOLDERS:
        for aside in (home / folder).glob(f"{_ASIDE}*"):
            remove_tree(str(aside))


def _places(folder: Path) -> Iterator[Path]:
    # Locks stay: others may be about to take them.
    for lock in sorted(folder.glob("*.lock")):
        yield lock.with_suffix("")


def _used_at(place: Path) -> float | None:
    # The last one is of one that was begun and never finished; who builds it holds its lock.
    for marker in (place / COMPLETE, satisfied(place), place):
        try:
            return marker.stat().st_mtime
        except FileNotFoundError:
            continue
    return None


@contextmanager
def _alone(place: Path) -> Iterator[bool]:
    descriptor = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
