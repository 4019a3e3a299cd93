"""The worker: one process in a session of its own, waited for without polling.

While it runs the worker may start anything; after its main process has ended nothing of it is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from atlas_runner.descendants import (
    become_subreaper,
    children,
    identify,
    is_subreaper,
    kill_attempt,
    kill_until_none,
    of_attempt,
    of_session,
    process_alive,
    with_descendants,
)
from atlas_runner.ending import Watched, WorkerExit, wait_for_end
from atlas_runner.errors import StartFailed
from atlas_runner.limits import MemoryLimit, resident_memory
from foundations.contract.environment import ATTEMPT_DIR

__all__ = [
    "WorkerExit",
    "WorkerProcess",
    "become_subreaper",
    "identify",
    "kill_attempt",
    "process_alive",
]

# Seconds between two looks at a worker's memory where the kernel cannot limit it.
WATCH_INTERVAL = 0.5
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class WorkerProcess:
    """A running worker; made by `start`, waited for once."""

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        limit: MemoryLimit | None,
        watched: int | None,
        attempt_dir: str | None,
        before: frozenset[int],
    ) -> None:
        self.pid = popen.pid
        self.identity = identify(popen.pid)
        self._popen = popen
        self._limit = limit
        self._watched = watched
        self._attempt_dir = attempt_dir
        self._before = before
        self._cpu = 0.0
        self._peak = 0
        self._status: int | None = None
        self._ended = _EndSignal(popen.pid, self._reap)

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str],
        log_fd: int,
        memory: int | None = None,
        umask: int = -1,
    ) -> WorkerProcess:
        """Start `argv` in `cwd` with output to `log_fd` and no input, `memory` bytes at most.

        Raises StartFailed when there is no such command or folder, or it may not be run.
        """
        if not argv or not argv[0]:
            raise StartFailed("The command is empty.")
        limit = None
        command = list(argv)
        if memory is not None:
            limit = MemoryLimit.create(memory, identify(os.getpid()))
            if limit is not None:
                _check_command(command[0], cwd, env, limit)
                command = limit.wrap(command)
        before = frozenset(children(os.getpid())) if is_subreaper() else frozenset[int]()
        try:
            popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log_fd,
                stderr=log_fd,
                start_new_session=True,
                umask=umask,
            )
        except (OSError, ValueError) as error:
            if limit is not None:
                limit.remove()
            raise _start_failed(argv[0], cwd, env, error) from error
        watched = memory if limit is None else None
        return cls(popen, limit, watched, env.get(ATTEMPT_DIR), before)

    def wait(self, *, timeout: float | None, stop_fd: int, grace: float) -> WorkerExit:
        """Wait for the end; ask for it after `timeout` seconds or when `stop_fd` is readable.

        To ask is SIGTERM to the worker's process group, and SIGKILL `grace` seconds later. A
        negative `stop_fd` never stops. Everything the worker has started ends with it. The kernel
        counts the moment before the exec too, so a peak below this process's size cannot be seen.
        """
        try:
            asked = self._run_to_end(timeout, stop_fd, grace)
            self._reap(self.pid)
            survivors = kill_until_none(self._remaining, self._reap)
            return self._exit(asked, survivors)
        finally:
            self._ended.close()
            if self._limit is not None:
                self._limit.remove()

    def remove(self) -> None:
        """Nothing is left of a process that was waited for."""

    def _run_to_end(self, timeout: float | None, stop_fd: int, grace: float) -> str:
        limit = self._watched
        watched = Watched(
            self._ended.fd,
            terminate=lambda: self._signal_group(signal.SIGTERM),
            kill=self._kill,
            look=(lambda: self._too_big(limit)) if limit is not None else None,
            interval=WATCH_INTERVAL,
        )
        return wait_for_end(watched, timeout=timeout, stop_fd=stop_fd, grace=grace)

    def _too_big(self, limit: int) -> bool:
        return resident_memory(self._remaining() | with_descendants([self.pid])) > limit

    def _signal_group(self, number: int) -> None:
        # Gone, or turned into another user's program: the kill that follows finds what is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _kill(self) -> None:
        """Kill all at once, so that a parent cannot report the death of its child."""
        rest = self._remaining() | with_descendants([self.pid])
        self._signal_group(signal.SIGKILL)
        for pid in rest:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def pids(self) -> list[int]:
        """Return its processes, the main one first; none once it has ended."""
        if self._status is not None:
            return []
        found = self._remaining() | with_descendants([self.pid])
        return [self.pid, *sorted(found - {self.pid})]

    def _remaining(self) -> set[int]:
        """Return what lives of the worker, apart from its main process once that is reaped."""
        found = set(self._limit.members()) if self._limit is not None else set[int]()
        if is_subreaper():
            return found | with_descendants(set(children(os.getpid())) - self._before)
        found |= of_session(self.pid)
        if self._attempt_dir is not None:
            found |= of_attempt(self._attempt_dir)
        return {pid for pid in found if process_alive(identify(pid))}

    def _reap(self, pid: int) -> None:
        """Take the exit and the usage of an ended child; another's child is left to its parent."""
        if pid == self.pid and self._status is not None:
            return
        try:
            reaped, status, usage = os.wait4(pid, 0 if pid == self.pid else os.WNOHANG)
        except ChildProcessError:
            return
        if reaped:
            self._account(reaped, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)

    def _account(self, pid: int, status: int, cpu: float, maxrss: int) -> None:
        self._cpu += cpu
        self._peak = max(self._peak, maxrss * _MAXRSS_UNIT)
        if pid == self.pid:
            self._status = status
            self._popen.returncode = os.waitstatus_to_exitcode(status)

    def _exit(self, asked: str, survivors: set[int]) -> WorkerExit:
        returncode = self._popen.returncode
        number = -returncode if returncode < 0 else None
        code = returncode if number is None else 128 + number
        oom_kills = self._limit.oom_kills() if self._limit is not None else 0
        died_of_kill = code == 128 + signal.SIGKILL
        return WorkerExit(
            code=code,
            signal=number,
            stopped=asked == "stop",
            timed_out=asked == "timeout",
            out_of_memory=asked == "look" or (not asked and oom_kills > 0 and died_of_kill),
            oom_kills=oom_kills,
            cpu_seconds=self._cpu,
            peak_memory=self._peak,
            survivors=tuple(sorted(survivors)),
        )


class _EndSignal:
    """A descriptor that becomes readable when the worker's main process has ended.

    A process descriptor where the kernel has them; elsewhere a pipe that a thread writes to after
    it has reaped the process.
    """

    def __init__(self, pid: int, reap: Callable[[int], None]) -> None:
        self._pid = pid
        self._reap = reap
        self._thread: threading.Thread | None = None
        try:
            self.fd = os.pidfd_open(pid)
        except (OSError, AttributeError):
            self.fd, self._write_fd = os.pipe()
            self._thread = threading.Thread(target=self._reap_and_tell, daemon=True)
            self._thread.start()

    def _reap_and_tell(self) -> None:
        self._reap(self._pid)
        os.close(self._write_fd)  # a reader sees the end of the pipe

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join()
        os.close(self.fd)


def _check_command(
    name: str, cwd: str | os.PathLike[str], env: Mapping[str, str], limit: MemoryLimit
) -> None:
    """Raise what Popen would have raised if the shell did not stand between it and the command."""
    path = os.path.join(cwd, name) if os.sep in name else name
    if os.path.isdir(cwd) and shutil.which(path, path=env.get("PATH", os.defpath)):
        return
    limit.remove()
    code = errno.EACCES if os.sep in name and os.path.exists(path) else errno.ENOENT
    raise _start_failed(name, cwd, env, OSError(code, os.strerror(code), name))


def _start_failed(
    name: str, cwd: str | os.PathLike[str], env: Mapping[str, str], error: OSError | ValueError
) -> StartFailed:
    if isinstance(error, ValueError):
        return StartFailed(f"The command or its environment cannot be passed on: {error}.")
    if not os.path.isdir(cwd):
        return StartFailed(f"The job's folder {os.fspath(cwd)} does not exist.")
    if error.errno == errno.ENOENT and os.sep in name:
        return StartFailed(
            f"The command '{name}', or the interpreter that its first line names, does not exist."
        )
    if error.errno == errno.ENOENT:
        path = env.get("PATH", os.defpath)
        return StartFailed(f"The command '{name}' was not found.", f"Its PATH is {path}.")
    if error.errno == errno.EACCES:
        return StartFailed(
            f"The command '{name}' may not be executed.", "Make it executable: chmod +x."
        )
    if error.errno == errno.ENOEXEC:
        return StartFailed(
            f"The command '{name}' is not a program.",
            "A script needs a first line that names its interpreter, such as #!/bin/sh.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StartFailed(f"The command '{name}' cannot be started: {reason}.")
