"""What processes use, as the system tells it of each: counters, and rates between two looks."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Dict, Iterable, List, Optional, Set, Tuple

# Seconds between two looks: few at first, so that a short job shows something.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 10.0
_GROWTH = 1.5
_RATES = ("disk_read", "disk_written", "network_received", "network_sent")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Counters:
    """What has been used up to a moment; None where the system does not tell.

    `cpu` in seconds, `memory` in bytes of now; all others in bytes since the start.
    """

    def __init__(self) -> None:
        self.cpu = 0.0
        self.memory = 0
        self.processes = 0
        self.disk_read: Optional[int] = None
        self.disk_written: Optional[int] = None
        self.network_received: Optional[int] = None
        self.network_sent: Optional[int] = None


def longer(pause: float) -> float:
    """Return the pause after the next look."""
    return min(LONGEST_PAUSE, pause * _GROWTH)


def look_at(pids: Collection[int], main: int) -> Counters:
    """Return the counters of processes; `main` is the one whose network is theirs."""
    found = Counters()
    private = shared = 0
    for pid in pids:
        own = _add_process(pid, found)
        private += own[0]
        shared = max(shared, own[1])
    # Of pages that several processes share, those of the one that has most.
    found.memory = private + shared
    found.network_received, found.network_sent = _network(main)
    return found


def values_between(before: Counters, now: Counters, seconds: float) -> Dict[str, float]:
    """Return `cpu` in percent of one core, sizes in bytes, and rates in bytes a second."""
    found: Dict[str, float] = {
        "cpu": round(100 * max(0.0, now.cpu - before.cpu) / seconds, 1),
        "memory": now.memory,
        "processes": now.processes,
    }
    for name in _RATES:
        old, new = getattr(before, name), getattr(now, name)
        if old is not None and new is not None:
            found[name] = round(max(0, new - old) / seconds)
    return found


def with_children(pids: Iterable[int]) -> Set[int]:
    """Return processes and all that descends from them."""
    found: Set[int] = set()
    todo = list(pids)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo.extend(_children(pid))
    return found


def _children(pid: int) -> List[int]:
    found: List[int] = []
    try:
        for task in os.listdir("/proc/{}/task".format(pid)):
            text = _read("/proc/{}/task/{}/children".format(pid, task))
            found.extend(map(int, text.split()))
    except OSError:
        pass  # it has ended
    return found


def _add_process(pid: int, found: Counters) -> Tuple[int, int]:
    """Add what a process has used; return its own memory and that which others may share."""
    stat = _read("/proc/{}/stat".format(pid))
    sizes = _read("/proc/{}/statm".format(pid)).split()
    if not stat or len(sizes) < 3:
        return 0, 0  # it has ended
    # The name, in parentheses, may hold anything; the fields after it are numbered from 3.
    fields = stat[stat.rindex(")") + 2 :].split()
    # Its own and that of the children it has waited for.
    found.cpu += sum(map(int, fields[11:15])) / _TICKS
    found.processes += 1
    for line in _read("/proc/{}/io".format(pid)).splitlines():
        name, _, number = line.partition(": ")
        if name == "read_bytes":
            found.disk_read = (found.disk_read or 0) + int(number)
        elif name == "write_bytes":
            found.disk_written = (found.disk_written or 0) + int(number)
    resident, shared = int(sizes[1]), int(sizes[2])
    return (resident - shared) * _PAGE, shared * _PAGE


def _network(pid: int) -> Tuple[Optional[int], Optional[int]]:
    """Bytes received and sent by what `pid` sees as the machine: its container, or all of it."""
    received = sent = 0
    lines = _read("/proc/{}/net/dev".format(pid)).splitlines()[2:]
    for line in lines:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            columns = numbers.split()
            received += int(columns[0])
            sent += int(columns[8])
    return (received, sent) if lines else (None, None)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
