"""What a node keeps that shares no files with its server, and how it stays within its bounds.

Runners hold the node's lock, shared, from looking for code until it is laid out; a runner that has
ended tries to have it alone and removes what was used longest ago. What jobs use on after that are
environments: those used since the oldest attempt that lives here began may be in use.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas_runner.fetching import cache_lock
from atlas_runner.old_environments import old_environments, remove_environment, remove_remains
from foundations.blobs import BlobDir
from foundations.disk import remove_tree, size_below
from foundations.locks import is_locked

_SIZE, _AGE = "ATLAS_CACHE_SIZE", "ATLAS_CACHE_AGE"
# Writers that were killed leave what they wrote; nobody writes this long.
_UNFINISHED_SECONDS = 86400.0


@dataclass(frozen=True)
class Bounds:
    """Bytes that are kept at most, and seconds for which what nobody uses is."""

    size: float
    age: float

    @classmethod
    def told(cls, variables: Mapping[str, str]) -> Bounds | None:
        """Return what the server has said; None: one of an older version has said nothing."""
        try:
            return cls(float(variables[_SIZE]), float(variables[_AGE]))
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class _Kept:
    used_at: float
    size: int
    remove: Callable[[], object]


def trim_as_told(home: str, variables: Mapping[str, str]) -> None:
    """Bring what is below `home` within the bounds that the server has told."""
    bounds = Bounds.told(variables)
    if bounds is not None:
        trim(home, bounds)


def trim(home: str, bounds: Bounds) -> None:
    """Bring what is below `home` within its bounds, unless somebody is at it just now."""
    lock = os.open(cache_lock(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # that one trims, or the next one does
    else:
        _trim(Path(home), bounds, time.time())
    finally:
        os.close(lock)


def _trim(home: Path, bounds: Bounds, now: float) -> None:
    blobs = BlobDir(str(home / "blobs"))
    blobs.sweep(now - _UNFINISHED_SECONDS)
    remove_remains(home)
    living = list(_attempts(home, now - bounds.age))
    kept = sorted([*_contents(blobs), *_environments(home, min(living, default=now))], key=_used_at)
    downloads = home / "cache" / "uv"
    total = size_below(str(downloads)) + sum(each.size for each in kept)
    for each in kept:
        if total > bounds.size or each.used_at < now - bounds.age:
            each.remove()
            total -= each.size
    # What environments are built of, and share with them. Nobody builds one while none lives here:
    # whoever begins waits for our lock first.
    if total > bounds.size and not living:
        remove_tree(str(downloads))


def _contents(blobs: BlobDir) -> Iterator[_Kept]:
    for digest in blobs.iter_digests():
        try:
            found = os.stat(blobs.path(digest))
        except FileNotFoundError:
            continue
        yield _Kept(found.st_mtime, found.st_size, lambda digest=digest: blobs.delete(digest))


def _environments(home: Path, unused_since: float) -> Iterator[_Kept]:
    for old in old_environments(home, unused_since):
        place = old.place
        yield _Kept(
            old.used_at, old.size, lambda place=place: remove_environment(place, unused_since)
        )


def _attempts(home: Path, abandoned: float) -> Iterator[float]:
    """Yield when each attempt that lives here began; those nobody came back to are removed."""
    for folder in (home / "work").glob("*/*"):
        try:
            began, changed_at = (folder / "identity").stat().st_mtime, folder.stat().st_mtime
        except FileNotFoundError:
            continue  # it has just ended
        # One without a runner may have a worker, and somebody may come to recover it.
        if changed_at < abandoned and not is_locked(folder / "lock"):
            remove_tree(str(folder))
        else:
            yield began


def _used_at(kept: _Kept) -> float:
    return kept.used_at
