"""The home: whether it can be written, its disk, and what was left there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from atlas_server.config import ServerConfig
from atlas_server.doctor.findings import FAILURE, NOTE, OK, WARNING, Finding, Look, age, size
from atlas_server.services.health import LEAST_FREE
from foundations.locks import is_locked

_LITTLE = 0.05
_MUCH = 0.1
_DAY = 86400.0
_OLD_BACKUP = 7 * _DAY
_FOREIGN = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre"})


def checks(config: ServerConfig) -> Iterator[tuple[str, Look]]:
    """Yield what is looked at."""
    yield "Folder", lambda: _folder(config.home)
    yield "Free space", lambda: _space(config.home)
    yield "Locks of files", lambda: _locks(config)
    yield "Left behind", lambda: _left(config)
    yield "Packages", lambda: _packages(config.home)
    yield "Backups", lambda: _backups(config)


def _folder(home: Path) -> Finding:
    if not home.exists():
        if not os.access(_above(home), os.W_OK):
            return Finding(
                FAILURE, f"{home} is missing and cannot be made", "Name another: FOUNDATIONS_HOME"
            )
        return Finding(NOTE, f"{home} does not exist yet: the first start makes it")
    with tempfile.TemporaryFile(dir=home):
        pass
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        text = (
            f"{home} can be entered by others (mode {mode:03o}): jobs' code and results lie there"
        )
        return Finding(WARNING, text, f"chmod 700 {home}")
    return Finding(OK, f"{home} can be written, by its owner alone")


def _space(home: Path) -> Finding:
    disk = shutil.disk_usage(_above(home))
    text = f"{size(disk.free)} of {size(disk.total)}"
    hint = "foundations delete job ..., or move FOUNDATIONS_HOME to a larger disk"
    if disk.free < LEAST_FREE:
        return Finding(FAILURE, text, hint)
    return Finding(
        WARNING if disk.free < disk.total * _LITTLE else OK,
        text,
        hint * (disk.free < disk.total * _LITTLE),
    )


def _locks(config: ServerConfig) -> Finding:
    place = _above(config.home)
    kind = file_system(place, Path("/proc/self/mountinfo").read_text())
    with tempfile.NamedTemporaryFile(dir=place) as first, open(first.name) as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return Finding(
                FAILURE, f"{kind} does not keep them apart", "Put FOUNDATIONS_HOME on a local disk."
            )
    if kind in _FOREIGN and config.database_url is None:
        return Finding(
            WARNING,
            f"{kind} is a network's: an SQLite database there is slow, and lost where locks are",
            "Use a local disk, or PostgreSQL: docs/postgres.md",
        )
    return Finding(OK, f"{kind} keeps them")


def file_system(place: Path, mounts: str) -> str:
    """Return the kind of file system that a folder is on, from the text of /proc/self/mountinfo."""
    found: list[tuple[int, str]] = []
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        if place.resolve().is_relative_to(point):
            found.append((len(point), right.split()[0]))
    # Of several at one point the last one counts.
    return max(reversed(found), key=lambda each: each[0])[1] if found else "unknown"


def _left(config: ServerConfig) -> Finding:
    stale = [
        path.name
        for path in sorted(config.run_dir.glob("*.json"))
        if not is_locked(path.with_suffix(".lock"))
    ]
    old = time.time() - _DAY
    partial = [
        path
        for pattern in ("database/*.partial", "run/*.partial", "run/sdk-copies/*.partial")
        for path in config.home.glob(pattern)
        if path.lstat().st_mtime < old
    ]
    if partial:
        hint = "Nothing uses it: delete it."
        return Finding(WARNING, f"{len(partial)} unfinished files, {partial[0]} among them", hint)
    if stale:
        return Finding(OK, f"a server was killed ({stale[0]}); the next start puts that right")
    return Finding(OK, "nothing")


def _packages(home: Path) -> Finding:
    """What uv has fetched or built; what environments share with it costs nothing."""
    cache = home / "cache" / "uv"
    used = _size_of_own(cache)
    if not used:
        return Finding(NOTE, "none were fetched for jobs yet")
    text = f"{size(used)} that uv keeps for the next environment, in {cache}"
    if used < shutil.disk_usage(cache).total * _MUCH:
        return Finding(OK, text)
    hint = f"uv cache clean --cache-dir {cache}; jobs and their environments go on meanwhile"
    return Finding(WARNING, text, hint)


def _size_of_own(folder: Path) -> int:
    """Return the bytes on the disk that would be free without a folder."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(os.path.join(place, name))
                found += status.st_blocks * 512 if status.st_nlink == 1 else 0
    return found


def _backups(config: ServerConfig) -> Finding:
    if config.database_url is not None:
        return Finding(NOTE, "PostgreSQL is saved with pg_dump, which Atlas does not see")
    if not config.database.exists():
        return Finding(NOTE, "there is nothing to save yet")
    hint = "atlas-server backup FOLDER, every night, on another disk"
    try:
        last = json.loads(config.last_backup.read_text())
    except (OSError, ValueError):
        return Finding(WARNING, "this home was never saved", hint)
    since = max(0.0, time.time() - last["time"])
    text = f"{age(since)} ago, to {last['folder']}"
    return Finding(WARNING, text, hint) if since > _OLD_BACKUP else Finding(OK, text)


def _above(home: Path) -> Path:
    """The home, or what there is of the way to it."""
    return next(place for place in (home, *home.parents) if place.exists())
