"""The server as a process: one for each home, in the foreground or the background."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import IO, Any

from atlas_server import log_format as log_formatting
from atlas_server.config import ServerConfig, environment
from atlas_server.database_url import nameable
from foundations.errors import ConfigError, FoundationsError
from foundations.locks import is_locked

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class AlreadyRunning(FoundationsError):
    """Another server holds this home."""

    code = "already_running"


def all_of(config: ServerConfig) -> list[ServerConfig]:
    """Return the configuration for each process of the server that runs or has ever run here."""
    return [replace(config, name=name) for name in config.processes]


def running(config: ServerConfig) -> dict[str, Any] | None:
    """Return the state file's facts of the process that runs, or None."""
    if not is_locked(config.lock_file):
        return None
    try:
        state = json.loads(config.state_file.read_text())
    except (OSError, ValueError):
        return None  # it is starting or ending just now
    return state if isinstance(state, dict) else None


def check_database(config: ServerConfig) -> None:
    """Raise ConfigError where a server of this home works on another database than `config` names.

    It was told of it on its command line, or in another shell's environment.
    """
    named = nameable(config.database_url) if config.database_url else None
    for state in filter(None, map(running, all_of(config))):
        used = state.get("database", named)
        if used != named:
            raise ConfigError(
                f"The server that runs works on {used or config.database}, and the settings here"
                f" name {named or config.database}.",
                "Set database_url in config/server.config.yaml, or ATLAS_DATABASE_URL, for both.",
            )


def run_here(config: ServerConfig, ready_fd: int | None) -> int:
    """Serve in this process. `ready_fd` gets a JSON line: the state, or the error."""
    report = os.fdopen(ready_fd, "w") if ready_fd is not None else None
    # Nobody else needs to read what we write; jobs get the mask back.
    umask = os.umask(0o077)
    try:
        lock = _take_lock(config)
        # To standard error, which is the log file of a server in the background.
        _log_to_standard_error(config)
        _warn_of_open_home(config)
        # uvicorn raises the signal that ended it once more when it is done. As an exception it
        # lets everything be closed; its default action would end the process there and then.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Late: the commands that only look at a server need none of what it is built of.
        from atlas_server import serve  # noqa: PLC0415

        def ready(_: serve.Server) -> None:
            state = json.loads(config.state_file.read_text())
            if report is None:
                where = "no API"
                if config.serves:
                    where = f"API {state['public_url']}, GUI {state['gui_url']}"
                print(f"Atlas server: {where}. Ctrl-C stops it.")
                if "resources" in state:
                    print(f"Jobs may use {state['resources']}.", flush=True)
            else:
                _tell(report, state)

        with lock:
            serve.serve(config, ready, umask)
    except (FoundationsError, OSError) as raised:
        error = in_words(raised)
        if report is None or report.closed:
            raise error from raised
        _tell(report, {"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        return 1
    return 0


def in_words(error: FoundationsError | OSError) -> FoundationsError:
    """Return `error` as one that can be shown: a full disk, a folder that may not be written."""
    if isinstance(error, FoundationsError):
        return error
    place = f"{error.filename}: " if error.filename else ""
    return FoundationsError(f"{place}{error.strerror or error}.")


def start_in_background(config: ServerConfig, argv: list[str]) -> tuple[dict[str, Any], bool]:
    """Start a server with the arguments `argv` and wait until it is ready.

    Returns its state, and whether it is a new one: one that runs already is as good. Raises
    FoundationsError with what the server said when it could not start.
    """
    state = running(config)
    if state is not None:
        return state, False
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    config.log_file.parent.mkdir(exist_ok=True, mode=0o700)
    config.log_file.touch(mode=0o600)
    reading, writing = os.pipe()
    with config.log_file.open("ab") as log, os.fdopen(reading) as answers:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "atlas_server.main", *argv]
            + ["--foreground", "--ready-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(config),
            pass_fds=[writing],
            start_new_session=True,
            cwd="/",
        )
        os.close(writing)
        ready, _, _ = select.select([answers], [], [], _START_SECONDS)
        line = answers.readline() if ready else ""
    if not line:
        process.poll()
        raise FoundationsError("The server did not start.", "See why: atlas-server logs")
    answer = json.loads(line)
    if "error" not in answer:
        return answer, True
    if answer["error"]["code"] == AlreadyRunning.code:
        return _wait_for_other(config), False
    raise FoundationsError(answer["error"]["message"], answer["error"]["hint"])


@contextmanager
def kept_out(config: ServerConfig) -> Iterator[None]:
    """Keep any server of this home from running meanwhile. Raises AlreadyRunning where one runs."""
    with ExitStack() as locks:
        try:
            for each in all_of(config):
                locks.enter_context(_take_lock(each))
        except AlreadyRunning as error:
            raise AlreadyRunning(error.message, "Stop it first: atlas-server stop") from error
        yield


def stop(config: ServerConfig) -> bool:
    """Stop the server and wait until it has ended; False when none runs."""
    if not is_locked(config.lock_file):
        return False
    pid = int(config.lock_file.read_text() or 0)
    if pid <= 0:
        return False
    pidfd = os.pidfd_open(pid)
    try:
        # Only now is the number certain to be the lock holder's for as long as we look.
        if not is_locked(config.lock_file):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not select.select([pidfd], [], [], _STOP_SECONDS)[0]:
            raise FoundationsError(
                f"The server (process {pid}) does not end.", f"Its jobs survive: kill -9 {pid}"
            )
    finally:
        os.close(pidfd)
    return True


def _log_to_standard_error(config: ServerConfig) -> None:
    log_formatting.configure(config.log_format, config.log_file)
    # Both tell of every step; only their trouble is of interest here.
    for chatty in ("alembic", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _warn_of_open_home(config: ServerConfig) -> None:
    mode = stat.S_IMODE(config.home.stat().st_mode)
    if mode & 0o077:
        log.warning(
            "%s can be entered by others (mode %03o), and jobs' code and results lie in it. "
            "To close it: chmod 700 %s", config.home, mode, config.home,
        )  # fmt: skip


def _take_lock(config: ServerConfig) -> IO[str]:
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    config.run_dir.mkdir(exist_ok=True)
    lock = config.lock_file.open("a+")
    deadline = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            # Whoever only looks whether it is locked (`is_locked`) holds it for an instant, too.
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            lock.close()
            raise AlreadyRunning(
                f"A server for {config.home} is already running.", "Look at it: atlas-server status"
            ) from error
    # What a killed server left would send clients to where it was.
    config.state_file.unlink(missing_ok=True)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _wait_for_other(config: ServerConfig) -> dict[str, Any]:
    """Somebody else is starting the server at this moment: wait for theirs."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        state = running(config)
        if state is not None:
            return state
        time.sleep(0.02)
    raise FoundationsError(
        "Another server is starting and does not get ready.", "See why: atlas-server logs"
    )


def _tell(report: IO[str], answer: dict[str, Any]) -> None:
    report.write(json.dumps(answer) + "\n")
    report.close()
