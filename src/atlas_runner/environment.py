"""The Python environment of a job: the submitter's own, or one built on top of it by uv.

An environment holds only what the submitter's interpreter lacks or has in another version; a path
file adds the submitter's packages behind its own. It is built once per key, below `envs/`:

    <key>/              the environment; complete when it holds the file `.atlas-complete`
    <key>.satisfied     the submitter's interpreter has everything: no environment is needed
    <key>.lock          held by the builder; names the installer while it works
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from atlas_runner.descendants import await_end, process_alive
from atlas_runner.errors import PreparationStopped, RequirementsFailed
from atlas_runner.interpreter import InterpreterInfo, interpreter_identity, packages

if TYPE_CHECKING:
    from atlas_runner.requirements import Requirements

__all__ = [
    "InterpreterInfo",
    "Prepared",
    "banner",
    "find_prepared",
    "interpreter_identity",
    "packages",
    "prepare",
]

NO_REQUIREMENTS = "No user requirements found."
INSTALLING = "Installing user requirements"
CHECKING = "Checking user requirements"
ALREADY_INSTALLED = "User requirements already installed."

_LOCK_INTERVAL = 0.1

Write = Callable[[bytes], object]


@dataclass(frozen=True)
class Prepared:
    """An interpreter to run a job with.

    `path_prefix` goes in front of the job's PATH. `cached`: nothing had to be built. `info`
    describes the interpreter with all that it can import (see `packages`).
    """

    python: str
    path_prefix: str
    cached: bool
    info: InterpreterInfo


def banner(text: str) -> bytes:
    """Return `text` between two lines of 120 equals signs, as the job's log shows it."""
    rule = "=" * 120
    return f"{rule}\n{text}\n{rule}\n".encode()


def announcement(requirements: Path | None, job_dir: Path, known: Collection[str]) -> bytes:
    """Return what a job's log says before its environment is built.

    Where all that is asked for is among the packages `known`, nothing is installed as a rule.
    """
    if requirements is None:
        return banner(INSTALLING)
    asked = read(requirements, job_dir)
    there = not asked.unnamed and asked.names.issubset(known)
    return banner(CHECKING if there else INSTALLING)


def find_prepared(
    requirements: Path | None, info: InterpreterInfo, home: Path, job_dir: Path, job_key: str
) -> Prepared | None:
    """Return what `prepare` would return without building anything; None if it has to build.

    Starts no process. Raises RequirementsFailed when the file cannot be read.
    """
    if requirements is None:
        return _submitters(info)
    asked = read(requirements, job_dir)
    if asked.empty:
        return _submitters(info)
    place = home / "envs" / _key(asked, info, job_dir, job_key)
    with used(place) as is_there:
        return _ready(place, info) if is_there else None


def prepare(
    requirements: Path | None,
    info: InterpreterInfo,
    home: Path,
    job_dir: Path,
    job_key: str,
    write: Write,
    *,
    stop_fd: int = -1,
) -> Prepared:
    """Return an interpreter that satisfies `requirements`; build its environment if need be.

    `home` is FOUNDATIONS_HOME; `job_dir` is where relative paths in the file start; `job_key`
    names the content of that folder. The installer's output goes to `write` as it comes.

    Raises RequirementsFailed with the installer's own words, or PreparationStopped when
    `stop_fd` becomes readable. A failed environment is removed.
    """
    ready = find_prepared(requirements, info, home, job_dir, job_key)
    if ready is not None or requirements is None:
        return ready or _submitters(info)
    asked = read(requirements, job_dir)
    place = home / "envs" / _key(asked, info, job_dir, job_key)
    place.parent.mkdir(parents=True, exist_ok=True)
    with build_lock(place, write, stop_fd) as lock:
        ready = _ready(place, info)
        if ready is not None:
            return ready
        # Late: most jobs build nothing.
        from atlas_runner.installer import Installer  # noqa: PLC0415
        from atlas_runner.overlay import Below, build  # noqa: PLC0415

        uv = Installer.create(home, info, job_dir, write, stop_fd, lock)
        try:
            below = Below(info.executable, info.implementation, info.version, info.site_packages)
            build(place, requirements, below, uv.run, str(job_dir) if asked.unshared else None)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        built = _ready(place, info)
    if built is None:
        raise RequirementsFailed(f"The environment {place} vanished while it was being built.")
    return replace(built, cached=False)


def read(requirements: Path, job_dir: Path) -> Requirements:
    """Return what a requirements file says. Raises RequirementsFailed when it cannot be read."""
    try:
        from atlas_runner.requirements import read_requirements  # noqa: PLC0415 - many have none

        return read_requirements(requirements, job_dir)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RequirementsFailed(f"{requirements} cannot be read: {reason}.") from error


def _key(asked: Requirements, info: InterpreterInfo, job_dir: Path, job_key: str) -> str:
    """Return the name of the environment that fits these requirements and this interpreter."""
    parts: list[object] = [
        asked.digest,
        os.path.realpath(info.executable),
        info.version,
        info.prefix,
        sys.platform,
        os.uname().machine,
    ]
    for folder in info.site_packages:
        with contextlib.suppress(OSError):
            parts.append((folder, os.stat(folder).st_mtime_ns))
    if asked.local:
        parts.append(job_key)
    if asked.unshared:
        parts.append(os.path.realpath(job_dir))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _submitters(info: InterpreterInfo) -> Prepared:
    return Prepared(info.executable, os.path.dirname(info.executable), cached=True, info=info)


def _ready(place: Path, info: InterpreterInfo) -> Prepared | None:
    """Return the finished environment at `place`, and note its use for whoever tidies up."""
    from atlas_runner.overlay import COMPLETE, satisfied, site_packages  # noqa: PLC0415 - late

    python = place / "bin" / "python"
    # The base interpreter may have been removed; the link to it is then broken.
    if os.path.exists(place / COMPLETE) and os.path.exists(python):
        touch(place / COMPLETE)
        own = site_packages(place, info.implementation, info.version)
        prefix = os.pathsep.join((str(python.parent), os.path.dirname(info.executable)))
        described = replace(
            info,
            executable=str(python),
            prefix=str(place),
            site_packages=(str(own), *info.site_packages),
        )
        return Prepared(str(python), prefix, cached=True, info=described)
    if os.path.exists(satisfied(place)):
        touch(satisfied(place))
        return _submitters(info)
    return None


def touch(path: Path) -> None:
    """Note that an environment was used, for whoever tidies up."""
    # A read-only home still serves what it holds.
    with contextlib.suppress(OSError):
        os.utime(path)


@contextlib.contextmanager
def used(place: Path) -> Iterator[bool]:
    """Keep an environment from being removed while its use is noted; False: it is just changing."""
    try:
        fd = os.open(f"{place}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True  # nobody ever built it, nor removes it
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


@contextlib.contextmanager
def build_lock(place: Path, write: Write, stop_fd: int) -> Iterator[int]:
    """Hold the build lock of `place`; the one installer that a killed builder left is ended."""
    fd = os.open(place.with_name(place.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        waiting = False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    write(b"Waiting for another job that is installing the same requirements.\n")
                waiting = True
            # Other builds are rare and last seconds; a blocking lock could not be interrupted.
            if select.select([stop_fd] if stop_fd >= 0 else [], [], [], _LOCK_INTERVAL)[0]:
                raise PreparationStopped("The job was stopped before its environment was built.")
        _end_orphan(fd)
        yield fd
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _end_orphan(lock: int) -> None:
    identity = os.pread(lock, 200, 0).decode(errors="replace")
    if identity and process_alive(identity):
        pid = int(identity.partition(":")[0])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        await_end(pid, 10.0)
