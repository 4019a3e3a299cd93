"""How a worker's end is waited for and asked for: the same for processes and containers."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

# poll counts milliseconds in 31 bits.
_LONGEST_POLL = 3600.0


@dataclass(frozen=True)
class WorkerExit:
    """How a worker ended, and what it used.

    `code` is 128 + `signal` when a signal ended it. `stopped` and `timed_out` say who asked it to
    end. `out_of_memory` means that the job as such died of its memory limit: its main process was
    killed with SIGKILL, or reported such a death of its command as a shell does (code 137), and
    the kernel had killed within its group. A job that survives the loss of a child, or reacts to
    it with an exit code of its own, is judged by that code; `oom_kills` still tells of the loss.

    `cpu_seconds` and `peak_memory` (bytes) take in its descendants; None: it ended unmeasured.
    `survivors` are processes that hang in the kernel and could not be killed. `lost` says why
    nobody can tell how it went, `refused` why the command was never executed.
    """

    code: int
    signal: int | None
    stopped: bool
    timed_out: bool
    out_of_memory: bool
    oom_kills: int
    cpu_seconds: float | None
    peak_memory: int | None
    survivors: tuple[int, ...] = ()
    lost: str | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Watched:
    """A worker as `wait_for_end` sees it.

    `ended_fd` is readable once it has ended; `terminate` asks it to end, `kill` ends it. `look`,
    where there is one, is called every `interval` seconds and says whether it must be killed now.
    """

    ended_fd: int
    terminate: Callable[[], object]
    kill: Callable[[], object]
    look: Callable[[], bool] | None = None
    interval: float = 0.5


def wait_for_end(worker: Watched, *, timeout: float | None, stop_fd: int, grace: float) -> str:
    """Wait for the end; ask for it after `timeout` seconds or when `stop_fd` is readable.

    It is killed `grace` seconds after it was asked. A negative `stop_fd` never stops. Returns who
    ended the worker: "", "stop", "timeout" or, where `look` said so, "look".
    """
    poll = select.poll()
    poll.register(worker.ended_fd, select.POLLIN)
    if stop_fd >= 0:
        poll.register(stop_fd, select.POLLIN)
    asked = ""
    look = worker.look
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        interval = worker.interval if look is not None else None
        ready = {fd for fd, _ in poll.poll(_patience(deadline, interval))}
        if worker.ended_fd in ready:
            return asked
        if not asked and stop_fd in ready:
            asked = "stop"
        elif deadline is not None and time.monotonic() >= deadline:
            if asked:
                worker.kill()
                deadline = None
                continue
            asked = "timeout"
        elif look is not None and look():
            worker.kill()
            asked, deadline, look = asked or "look", None, None
            continue
        else:
            continue
        if stop_fd >= 0:
            poll.unregister(stop_fd)  # it stays readable
            stop_fd = -1
        worker.terminate()
        deadline = time.monotonic() + grace


def _patience(deadline: float | None, interval: float | None) -> float | None:
    """Return the milliseconds until something has to be done; None for ever."""
    waits = [] if deadline is None else [max(0.0, deadline - time.monotonic())]
    if interval is not None:
        waits.append(interval)
    # Rounded up: a poll that returns a moment early would spin until the deadline.
    return min(*waits, _LONGEST_POLL) * 1000 + 1 if waits else None


def signal_name(number: int) -> str:
    """Return what people call a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # of the real-time signals only the ends have names
