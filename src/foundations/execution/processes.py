"""Processes by names that are never given out again."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple


def identify(pid: Optional[int] = None) -> str:
    """Return "pid:start time:boot" of a process (default: this one).

    The start time is 0 for a process that is gone, and where the system does not tell.
    """
    number = os.getpid() if pid is None else pid
    found = _stat(number)
    return "{}:{}:{}".format(number, found[2] if found else 0, _boot())


def is_alive(identity: str) -> bool:
    """Whether the process that `identify` named still runs; a zombie does not."""
    pid, _, rest = identity.partition(":")
    start, _, boot = rest.partition(":")
    if not pid.isdigit() or boot != _boot():
        return False
    found = _stat(int(pid))
    if found is None:
        return start == "0" and not _has_proc() and _answers(int(pid))
    return str(found[2]) == start and found[0] not in "ZX"


def same_boot(identity: str) -> bool:
    """Whether the machine has not been restarted since the process began."""
    return identity.rpartition(":")[2] == _boot()


def parent_of(pid: int) -> int:
    """Return the number of a process's parent; 0: it has none, or the system does not tell."""
    if pid == os.getpid():
        return os.getppid()
    found = _stat(pid)
    return found[1] if found else 0


def variables_of(pid: int) -> Optional[List[bytes]]:
    """Return the environment that a process was started with, as NAME=value; None: not told."""
    try:
        with open("/proc/{}/environ".format(pid), "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return None


def _stat(pid: int) -> Optional[Tuple[str, int, int]]:
    """Return (state, parent, start time) of a process."""
    try:
        with open("/proc/{}/stat".format(pid), "rb") as file:
            data = file.read()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the fields after it are numbered from 3.
    fields = data[data.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[1]), int(fields[19])


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def _has_proc() -> bool:
    return os.path.exists("/proc/self/stat")


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
