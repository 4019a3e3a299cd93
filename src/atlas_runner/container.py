"""The worker as a container: made, watched, ended and removed through the engine's API.

It outlives this process: another runner finds it again by its ID and goes on where this one was.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from atlas_runner.container_log import LogPump
from atlas_runner.container_usage import Usage
from atlas_runner.descendants import identify, process_alive, with_descendants
from atlas_runner.ending import Watched, WorkerExit, wait_for_end
from atlas_runner.engine import Engine, is_missing, lacks_program, words
from atlas_runner.errors import EngineUnavailable, StartFailed

log = logging.getLogger(__name__)

_PREFIX = "container:"
_KILLED = 128 + 9
# What the end of the engine makes of the containers that it ends: killed, terminated, not known.
_ENDED_BY_ENGINE = (_KILLED, 128 + 15, 255)
_AWAY_INTERVAL = 0.5
_LOOK_INTERVAL = 0.5
_WORD_ON_MEMORY = 0.5
_INIT_FAILED = re.compile(r"\[FATAL tini \(\d+\)\] exec (.*) failed: ([^\r\n]*)")
_EXEC_FAILED = re.compile(r'exec: "([^"]*)": (.*?)(?:: unknown)?\.?$')
_PROGRAM_HINT = (
    "Without an entrypoint the command begins with a program of the image, a script of the job's "
    "folder that ends in .py, or an option of Python."
)


class ContainerWorker:
    """A running container; made by `create` and `start`, or found by `adopt`; waited for once.

    `container_id` is its name or ID; `identity` names it for whoever comes after this process.
    `afterwards` is called once it has ended.
    """

    def __init__(self, engine: Engine, container_id: str, log: LogPump) -> None:
        self.container_id = container_id
        self.identity = _PREFIX + container_id
        self.started_at: float | None = None
        self._engine = engine
        self._log = log
        self._stop_signal = "SIGTERM"
        self._ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._signals: list[str] = []
        self._interrupted = False
        self._gone = False
        self._main: str | None = None
        self._usage = Usage()
        self.afterwards: Callable[[], object] = lambda: None

    @classmethod
    def create(
        cls, engine: Engine, image: str, options: dict[str, Any], log: LogPump
    ) -> ContainerWorker:
        """Make a container that does not run yet. Raises StartFailed with the engine's words."""
        with words():
            engine.client.containers.create(image, **options)
        return cls(engine, options["name"], log)

    def start(self, stop_signal: str | None = None) -> None:
        """Start it. Raises StartFailed with the engine's words; the container is removed then.

        After EngineUnavailable it is there, and may have been started: see `adopt`.
        """
        self._stop_signal = stop_signal or self._stop_signal
        try:
            with words():
                self._engine.api.start(self.container_id)
        except EngineUnavailable:
            raise
        except StartFailed as error:
            self.remove()
            raise _start_failed(error) from error
        self.started_at = time.time()
        self._watch()

    @classmethod
    def adopt(cls, engine: Engine, identity: str, log: LogPump) -> ContainerWorker | None:
        """Return the container of a dead runner, None where it is gone or was never started.

        One that was never started is removed.
        """
        worker = cls(engine, identity.removeprefix(_PREFIX), log)
        found = worker._inspect()
        if found is None:
            return None
        state = found["State"]
        if state["Status"] == "created":
            worker.remove()
            return None
        worker._stop_signal = found["Config"].get("StopSignal") or worker._stop_signal
        worker.started_at = _seconds(state["StartedAt"])
        worker._watch()
        return worker

    @staticmethod
    def identity_of(name: str) -> str:
        """Return the identity of the container that has this name, or is to get it."""
        return _PREFIX + name

    def pid(self) -> int | None:
        """Return the process number of the container's main process on this machine.

        None where it has ended, or while the engine is away.
        """
        try:
            found = self._inspect()
        except StartFailed:
            return None
        return int(found["State"]["Pid"]) or None if found else None

    def pids(self) -> list[int]:
        """Return its processes on this machine, the main one first; none once it has ended."""
        if self._main is None:
            pid = self.pid()
            self._main = identify(pid) if pid else None
        if self._main is None or not process_alive(self._main):
            return []
        main = int(self._main.partition(":")[0])
        return [main, *sorted(with_descendants([main]) - {main})]

    def wait(self, *, timeout: float | None, stop_fd: int, grace: float) -> WorkerExit:
        """Wait for the end; ask for it after `timeout` seconds or when `stop_fd` is readable.

        To ask is the image's stop signal (SIGTERM), and SIGKILL `grace` seconds later. A negative
        `stop_fd` never stops. The container stays until `remove`, so that another process can read
        from it how it ended.
        """
        watched = Watched(
            self._ended,
            terminate=lambda: self._send(self._stop_signal),
            kill=lambda: self._send("SIGKILL"),
            look=self._look,
            interval=_LOOK_INTERVAL,
        )
        asked = wait_for_end(watched, timeout=timeout, stop_fd=stop_fd, grace=grace)
        self._log.drain()
        self.afterwards()
        return self._exit(asked)

    def remove(self) -> None:
        """Remove the container and its anonymous volumes; harmless where it is gone.

        One that the engine does not remove is left to whoever sweeps: how the job ended is more
        urgent.
        """
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the engine

        try:
            with words():
                try:
                    self._engine.api.remove_container(self.container_id, v=True, force=True)
                except APIError as error:
                    # Somebody else is removing it, or has.
                    if not is_missing(error) and error.status_code != 409:
                        raise
        except StartFailed as error:
            log.warning("The container %s is left for now: %s", self.container_id, error)

    def _watch(self) -> None:
        self._log.start(self._engine, self.container_id)
        threading.Thread(target=self._await_end, name="container-end", daemon=True).start()

    def _await_end(self) -> None:
        """Wait through every absence of the engine; tells by the descriptor."""
        while not self._over():
            time.sleep(_AWAY_INTERVAL)
        os.eventfd_write(self._ended, 1)

    def _over(self) -> bool:
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the engine

        try:
            with words():
                try:
                    answer = self._engine.api.wait(self.container_id, timeout=None)
                except APIError as error:
                    if not is_missing(error):
                        raise
                    self._gone = True
                else:
                    self._interrupted |= answer["StatusCode"] in _ENDED_BY_ENGINE and _has_left()
            return True
        except StartFailed:  # the engine is away, or in no state to answer
            self._interrupted = True
            return False

    def _look(self) -> bool:
        """Measure, and send again what the engine has not taken; never asks for the kill."""
        self._usage.sample(self.pid)
        pending, self._signals = self._signals, []
        for name in pending:
            self._send(name)
        return False

    def _send(self, name: str) -> None:
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the engine

        try:
            with words():
                try:
                    self._engine.api.kill(self.container_id, signal=name)
                except APIError as error:
                    if error.status_code not in (404, 409):  # it has ended meanwhile
                        raise
        except StartFailed:
            self._signals.append(name)

    def _inspect(self) -> dict[str, Any] | None:
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the engine

        with words():
            try:
                return self._engine.api.inspect_container(self.container_id)
            except APIError as error:
                if not is_missing(error):
                    raise
        return None

    def _exit(self, asked: str) -> WorkerExit:
        state = None if self._gone else self._state_at_end()
        if state and not asked and _is_unexplained(state):
            # The kernel's word on memory may reach the engine after that of the process's end.
            time.sleep(_WORD_ON_MEMORY)
            state = self._state_at_end() or state
        code = int(state["ExitCode"]) if state else _KILLED
        oom = bool(state and state.get("OOMKilled"))
        lost = None
        if state is None:
            lost = "Somebody removed the job's container."
        elif not asked and not oom and code in _ENDED_BY_ENGINE and self._interrupted:
            lost = "The container engine was restarted, and the job's container ended with it."
        return WorkerExit(
            code=code,
            signal=code - 128 if 128 < code < 160 else None,
            stopped=asked == "stop",
            timed_out=asked == "timeout",
            # The engine tells of any process that was killed; the job as such died of it only
            # where its main process did.
            out_of_memory=oom and not asked and code == _KILLED,
            oom_kills=int(oom),
            cpu_seconds=self._usage.cpu_seconds,
            peak_memory=self._usage.peak_memory,
            lost=lost,
            refused=_refused(self._log.beginning) if code in (126, 127) else None,
        )

    def _state_at_end(self) -> dict[str, Any] | None:
        while True:
            try:
                found = self._inspect()
                return found["State"] if found else None
            except EngineUnavailable:
                time.sleep(_AWAY_INTERVAL)


def _is_unexplained(state: dict[str, Any]) -> bool:
    return int(state["ExitCode"]) == _KILLED and not state.get("OOMKilled")


def _has_left() -> bool:
    """Whether the engine takes no new connections: it is on its way out, and ends containers."""
    try:
        Engine.connect().close()
    except EngineUnavailable:
        return True
    return False


def _refused(beginning: bytes) -> str | None:
    """Return why the container's init could not execute the command, from what it printed."""
    found = _INIT_FAILED.match(beginning.decode(errors="replace"))
    if found is None:
        return None
    return str(_not_executed(*found.groups()))


def _start_failed(error: StartFailed) -> StartFailed:
    """Say what users can do about the engine's commonest complaints."""
    text = error.message
    if lacks_program(error):
        found = _EXEC_FAILED.search(text)
        return _not_executed(*found.groups()) if found else StartFailed(text, _PROGRAM_HINT)
    if "could not select device driver" in text or "nvidia" in text.lower():
        return StartFailed(text, "Install nvidia-container-toolkit, and restart the engine.")
    return error


def _not_executed(name: str, reason: str) -> StartFailed:
    if "not found" in reason or "no such file" in reason.lower():
        script = ", or none that its first line names" if "/" in name else ""
        return StartFailed(f"The image has no program '{name}'{script}.", _PROGRAM_HINT)
    hint = "Make it executable: chmod +x." if "denied" in reason.lower() else _PROGRAM_HINT
    return StartFailed(f"'{name}' cannot be executed in the image: {reason}.", hint)


def _seconds(text: str) -> float | None:
    """Return seconds since the epoch of the engine's time, None for one that it never set."""
    from datetime import UTC, datetime  # noqa: PLC0415 - after a crash only

    if text.startswith("0001"):
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return at.timestamp() + float("0." + (fraction or "0"))
