"""Which processes exist, which belong together, and how they are ended for certain."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from foundations.contract.environment import ATTEMPT_DIR

_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# A killed process that is still there after this long hangs in the kernel (a dead network disk).
KILL_PATIENCE = 10.0

_subreaper = 0  # the process that became one: the setting does not survive a fork


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process; False where the system cannot.

    From then on every child that is born belongs to the worker: nothing else may be started in
    this process while a worker runs.
    """
    global _subreaper  # noqa: PLW0603 - a fact of the process, kept by the kernel
    if not _LINUX:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return False
    _subreaper = os.getpid()
    return True


def end_with_parent(number: signal.Signals) -> None:
    """Have this process sent a signal when its parent ends, where the system can."""
    if _LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def is_subreaper() -> bool:
    """Whether this very process called `become_subreaper`."""
    return _subreaper == os.getpid()


def identify(pid: int) -> str:
    """Return "pid:start time:boot" of a process, which no other process ever has.

    A process that is gone has the start time 0, which is never alive.
    """
    start = _start_time(pid)
    return f"{pid}:{start[0] if start else 0}:{_boot()}"


def process_alive(identity: str) -> bool:
    """Whether the process that `identify` named still runs; a zombie does not."""
    pid, _, rest = identity.partition(":")
    start, _, boot = rest.partition(":")
    if not pid.isdigit() or boot != _boot():
        return False
    now = _start_time(int(pid))
    return now is not None and str(now[0]) == start and now[1] not in ("Z", "X")


def _start_time(pid: int) -> tuple[int, str] | None:
    """Return (start time, state letter) of a process; None when there is none."""
    if not _LINUX:
        import psutil  # noqa: PLC0415 - where /proc tells it is not needed, and slow to load

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return int(process.create_time() * 1000), "Z" if zombie else "R"
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the fields after it are numbered from 3.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return int(fields[19]), fields[0].decode()


def _boot() -> str:
    if not _LINUX:
        import psutil  # noqa: PLC0415 - as above

        return str(int(psutil.boot_time()))
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def children(pid: int) -> list[int]:
    """Return the children of a process, zombies included."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            # A thread may end meanwhile; its children pass to another one.
            with contextlib.suppress(ProcessLookupError):
                text = Path(f"/proc/{pid}/task/{task}/children").read_text()
                found.extend(int(child) for child in text.split())
    except OSError:
        import psutil  # noqa: PLC0415 - as above

        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
    return found


def with_descendants(pids: Iterable[int]) -> set[int]:
    """Return `pids` and all that descends from them."""
    found: set[int] = set()
    todo = list(pids)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo.extend(children(pid))
    return found


def _all() -> list[int]:
    if _LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil  # noqa: PLC0415 - as above

    return psutil.pids()


def of_session(session: int) -> set[int]:
    """Return the processes of a session, by looking at every process of the machine."""
    found: set[int] = set()
    for pid in _all():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                found.add(pid)
    return found


def of_attempt(attempt_dir: str) -> set[int]:
    """Return this user's processes that carry the attempt in their environment, with descendants.

    Never this process itself.
    """
    own = os.getpid()
    marked = (pid for pid in _all() if pid != own and _carries(pid, attempt_dir))
    return with_descendants(marked) - {own}


def _carries(pid: int, attempt_dir: str) -> bool:
    if not _LINUX:
        import psutil  # noqa: PLC0415 - as above

        with contextlib.suppress(psutil.Error, OSError):
            return psutil.Process(pid).environ().get(ATTEMPT_DIR) == attempt_dir
        return False
    with contextlib.suppress(OSError):
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return False
        entry = os.fsencode(f"{ATTEMPT_DIR}={attempt_dir}")
        return entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def kill_attempt(attempt_dir: str, worker: str | None = None) -> int:
    """Kill every process of an attempt whose runner is gone; return how many they were.

    They are known by the attempt's folder in their environment, and as the session of `worker`
    (an identity) with all its descendants: a worker may have cleared its environment.

    Returns when none is left, or when one has survived its kill for `KILL_PATIENCE` seconds.
    """
    killed: set[int] = set()
    kill_until_none(lambda: of_attempt(attempt_dir) | _of_worker(worker), killed.add)
    return len(killed)


def _of_worker(worker: str | None) -> set[int]:
    if worker is None:
        return set()
    pid = int(worker.split(":")[0])
    if identify(pid) != worker and process_alive(identify(pid)):
        return set()  # the number belongs to somebody else now
    return with_descendants({*of_session(pid), *([pid] if process_alive(worker) else [])})


def kill_until_none(find: Callable[[], set[int]], on_gone: Callable[[int], object]) -> set[int]:
    """Kill what `find` returns until it returns nothing; `on_gone` takes each one that ended.

    Returns the processes that could not be ended: empty but for those that hang in the kernel.
    """
    deadline = time.monotonic() + KILL_PATIENCE
    while found := find():
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            if await_end(pid, deadline - time.monotonic()):
                on_gone(pid)
        if time.monotonic() >= deadline:
            return {pid for pid in find() if process_alive(identify(pid))}
    return set()


def await_end(pid: int, timeout: float) -> bool:
    """Wait up to `timeout` seconds for any process to end, without reaping it."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (OSError, AttributeError):  # no such call: an old kernel, a sandbox, another system
        deadline = time.monotonic() + timeout
        while process_alive(identify(pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return not process_alive(identify(pid))
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout) * 1000))
    finally:
        os.close(fd)
