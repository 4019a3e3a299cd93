"""Counters of a job's processes: from its control groups, where it has its own, else one by one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from atlas_runner.container_usage import group_folder

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Counters:
    """What has been used up to a moment; None where the system does not tell.

    `cpu` in seconds, `memory` in bytes of now; all others in bytes since the start.
    """

    cpu: float = 0.0
    memory: int = 0
    processes: int = 0
    disk_read: int | None = None
    disk_written: int | None = None
    network_received: int | None = None
    network_sent: int | None = None


@dataclass
class _Sum:
    private: int = 0
    shared: int = 0
    counters: Counters = field(default_factory=Counters)


class Meter:
    """Reads the counters of a job whose main process is `pid`.

    Its control groups are those that this process is not in, too.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        own, its = _groups("self"), _groups(str(pid))
        mounts = _read("/proc/self/mountinfo")
        self._cpu = _apart("cpuacct", own, its, mounts)
        self._memory = _apart("memory", own, its, mounts)

    def read(self, pids: Collection[int]) -> Counters:
        """Return the counters now; `pids` are all of the job's processes."""
        total = _Sum()
        for pid in pids:
            _add_process(pid, total)
        found = total.counters
        # Of pages that several processes share, those of the one that has most.
        found.memory = total.private + total.shared
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.cpu = _cpu_of_group(self._cpu) if self._cpu else found.cpu
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.memory = _memory_of_group(self._memory) if self._memory else found.memory
        found.network_received, found.network_sent = _network(self._pid)
        return found


def _add_process(pid: int, total: _Sum) -> None:
    found = total.counters
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        resident, shared = map(int, Path(f"/proc/{pid}/statm").read_bytes().split()[1:3])
    except OSError:
        return  # it has ended
    # The name, in parentheses, may hold anything; the fields after it are numbered from 3.
    fields = stat[stat.rindex(b")") + 2 :].split()
    # Its own and that of the children it has waited for.
    found.cpu += sum(map(int, fields[11:15])) / _TICKS
    total.private += (resident - shared) * _PAGE
    total.shared = max(total.shared, shared * _PAGE)
    found.processes += 1
    with contextlib.suppress(OSError, ValueError, KeyError):
        facts = _facts(Path(f"/proc/{pid}/io"), ":")
        found.disk_read = (found.disk_read or 0) + facts["read_bytes"]
        found.disk_written = (found.disk_written or 0) + facts["write_bytes"]


def _network(pid: int) -> tuple[int | None, int | None]:
    """Bytes received and sent by what `pid` sees as the machine: its container, or all of it."""
    received = sent = 0
    lines = _read(f"/proc/{pid}/net/dev").splitlines()[2:]
    for line in lines:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            columns = numbers.split()
            received += int(columns[0])
            sent += int(columns[8])
    return (received, sent) if lines else (None, None)


def _groups(process: str) -> str:
    return _read(f"/proc/{process}/cgroup")


def _apart(controller: str, own: str, its: str, mounts: str) -> Path | None:
    """Return the folder of a group that the job has for itself."""
    for name in (controller, ""):
        place = group_folder(name, its, mounts)
        if place is not None and place != group_folder(name, own, mounts):
            return place
    return None


def _cpu_of_group(folder: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    return _facts(folder / "cpu.stat", " ")["usage_usec"] / 1e6


def _memory_of_group(folder: Path) -> int:
    """Return what the group cannot give back: without files that were read and are kept."""
    facts = _facts(folder / "memory.stat", " ")
    with contextlib.suppress(FileNotFoundError):
        used = int((folder / "memory.usage_in_bytes").read_text())
        return used - facts["total_inactive_file"]
    return int((folder / "memory.current").read_text()) - facts["inactive_file"]


def _facts(path: Path, separator: str) -> dict[str, int]:
    found = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(separator)
        found[name] = int(value)
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
