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
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from atlas_runner.descendants import await_end, process_alive
from atlas_runner.errors import PreparationStopped, RequirementsFailed
from atlas_runner.installer import Installer, find_uv
from atlas_runner.interpreter import (
    Distribution,
    InterpreterInfo,
    distributions,
    interpreter_identity,
    packages,
)
from atlas_runner.requirements import Requirements, read_requirements

__all__ = [
    "InterpreterInfo",
    "Prepared",
    "banner",
    "find_prepared",
    "find_uv",
    "interpreter_identity",
    "packages",
    "prepare",
]

NO_REQUIREMENTS = "No user requirements found."
INSTALLING = "Installing user requirements"
ALREADY_INSTALLED = "User requirements already installed."

_COMPLETE = ".atlas-complete"
_STUB = "ATLAS-STUB"
# Last in the order of path files: what the environment itself adds comes before the submitter's.
_PATH_FILE = "zzzz_atlas_submitter.pth"
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


def find_prepared(
    requirements: Path | None, info: InterpreterInfo, home: Path, job_dir: Path, job_key: str
) -> Prepared | None:
    """Return what `prepare` would return without building anything; None if it has to build.

    Starts no process. Raises RequirementsFailed when the file cannot be read.
    """
    if requirements is None:
        return _submitters(info)
    read = _read(requirements, job_dir)
    if read.empty:
        return _submitters(info)
    return _ready(home / "envs" / _key(read, info, job_dir, job_key), info)


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
    read = _read(requirements, job_dir)
    place = home / "envs" / _key(read, info, job_dir, job_key)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place, write, stop_fd) as lock:
        ready = _ready(place, info)
        if ready is not None:
            return ready
        uv = Installer.create(home, info, job_dir, write, stop_fd, lock)
        try:
            _build(place, requirements, info, uv, job_dir if read.unshared else None)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        built = _ready(place, info)
    if built is None:
        raise RequirementsFailed(f"The environment {place} vanished while it was being built.")
    return replace(built, cached=False)


def _read(requirements: Path, job_dir: Path) -> Requirements:
    try:
        return read_requirements(requirements, job_dir)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RequirementsFailed(f"{requirements} cannot be read: {reason}.") from error


def _key(read: Requirements, info: InterpreterInfo, job_dir: Path, job_key: str) -> str:
    """Return the name of the environment that fits these requirements and this interpreter."""
    parts: list[object] = [
        read.digest,
        os.path.realpath(info.executable),
        info.version,
        info.prefix,
        sys.platform,
        os.uname().machine,
    ]
    for folder in info.site_packages:
        with contextlib.suppress(OSError):
            parts.append((folder, os.stat(folder).st_mtime_ns))
    if read.local:
        parts.append(job_key)
    if read.unshared:
        parts.append(os.path.realpath(job_dir))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _submitters(info: InterpreterInfo) -> Prepared:
    return Prepared(info.executable, os.path.dirname(info.executable), cached=True, info=info)


def _ready(place: Path, info: InterpreterInfo) -> Prepared | None:
    """Return the finished environment at `place`, and note its use for whoever tidies up."""
    python = place / "bin" / "python"
    # The base interpreter may have been removed; the link to it is then broken.
    if os.path.exists(place / _COMPLETE) and os.path.exists(python):
        _touch(place / _COMPLETE)
        own = _site_packages(place, info)
        prefix = os.pathsep.join((str(python.parent), os.path.dirname(info.executable)))
        described = replace(
            info,
            executable=str(python),
            prefix=str(place),
            site_packages=(str(own), *info.site_packages),
        )
        return Prepared(str(python), prefix, cached=True, info=described)
    if os.path.exists(_satisfied(place)):
        _touch(_satisfied(place))
        return _submitters(info)
    return None


def _touch(path: Path) -> None:
    # A read-only home still serves what it holds.
    with contextlib.suppress(OSError):
        os.utime(path)


def _satisfied(place: Path) -> Path:
    return place.with_name(place.name + ".satisfied")


def _site_packages(place: Path, info: InterpreterInfo) -> Path:
    if info.implementation == "PyPy":
        name = "pypy" + ".".join(info.version.split(".")[:2])
    else:
        name = "python" + ".".join(info.version.split(".")[:2])
    return place / "lib" / name / "site-packages"


@contextlib.contextmanager
def _locked(place: Path, write: Write, stop_fd: int) -> Iterator[int]:
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


def _build(
    place: Path, requirements: Path, info: InterpreterInfo, uv: Installer, bound_to: Path | None
) -> None:
    shutil.rmtree(place, ignore_errors=True)
    uv.make_environment(place)
    python = place / "bin" / "python"
    own = _site_packages(place, info)
    found = distributions(info.site_packages).values()
    stubs = [stub for stub in (_write_stub(own, each) for each in found) if stub is not None]
    before = set(os.listdir(own))
    uv.install(python, requirements)
    changed = set(os.listdir(own)) - before
    untouched = [stub for stub in stubs if (stub / _STUB).exists()]
    if not changed and len(untouched) == len(stubs):
        shutil.rmtree(place)
        _write_marker(_satisfied(place), {"requirements": str(requirements)})
        return
    for stub in untouched:
        shutil.rmtree(stub)
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in info.site_packages]
    (own / _PATH_FILE).write_text("".join(lines), encoding="utf-8")
    facts = {"requirements": str(requirements), "bound_to": str(bound_to) if bound_to else None}
    _write_marker(place / _COMPLETE, facts)


def _write_stub(own: Path, found: Distribution) -> Path | None:
    """Make the installer see a package of the submitter as installed in the new environment.

    It then keeps that version if it will do, as an install into the submitter's environment
    would, and "uninstalls" only the stub if it will not. None for a package it cannot read.
    """
    source = Path(found.metadata)
    main = source if source.is_file() else source / "METADATA"
    if not main.exists():
        main = source / "PKG-INFO"
    if not main.exists() or not found.version:
        return None
    name = f"{found.name.replace('-', '_')}-{found.version}.dist-info"
    stub = own / name
    stub.mkdir()
    (stub / "METADATA").symlink_to(main)
    for extra in ("WHEEL", "direct_url.json", "uv_cache.json", "uv_build.json"):
        if (source / extra).exists():
            (stub / extra).symlink_to(source / extra)
    (stub / _STUB).touch()
    (stub / "RECORD").touch()
    record = "".join(f"{name}/{file.name},,\n" for file in stub.iterdir())
    (stub / "RECORD").write_text(record, encoding="utf-8")
    return stub


def _write_marker(path: Path, facts: dict[str, str | None]) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    os.replace(temporary, path)
