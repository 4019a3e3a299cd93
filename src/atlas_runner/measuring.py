"""Counters of a job's processes: from its control groups, where it has its own, else one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from atlas_runner.container_usage import group_folder
from foundations.execution.usage import Counters, look_at


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
        found = look_at(pids, self._pid)
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.cpu = _cpu_of_group(self._cpu) if self._cpu else found.cpu
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.memory = _memory_of_group(self._memory) if self._memory else found.memory
        return found


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
