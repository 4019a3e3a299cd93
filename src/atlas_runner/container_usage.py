"""What a container uses, read from the kernel's own counters while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from atlas_runner.limits import below


class Usage:
    """CPU seconds and the peak of memory (bytes) of all processes of a container.

    The counters go with the container, so what it used after the last sample is not in them.
    """

    def __init__(self) -> None:
        self.cpu_seconds: float | None = None
        self.peak_memory: int | None = None
        self._cpu: Path | None = None
        self._peak: Path | None = None
        self._found = False

    def sample(self, pid: Callable[[], int | None]) -> None:
        """Read the counters; `pid` gives the container's main process, asked for once."""
        if not self._found:
            process = pid()
            if process is not None:
                self._found = True
                self._cpu, self._peak = _counters(process)
        with contextlib.suppress(OSError, ValueError):
            if self._cpu is not None:
                self.cpu_seconds = max(self.cpu_seconds or 0.0, _cpu_seconds(self._cpu))
        with contextlib.suppress(OSError, ValueError):
            if self._peak is not None:
                self.peak_memory = max(self.peak_memory or 0, int(self._peak.read_text()))


def _counters(pid: int) -> tuple[Path | None, Path | None]:
    """Return the files that tell CPU time and peak memory of the group that `pid` is in."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return None, None  # it has ended
    return (
        _file("cpuacct", "cpuacct.usage", "cpu.stat", groups, mounts),
        _file("memory", "memory.max_usage_in_bytes", "memory.peak", groups, mounts),
    )


def _file(controller: str, first: str, second: str, groups: str, mounts: str) -> Path | None:
    """Return the file `first` of the version 1 group, or `second` of the version 2 group."""
    for name, place in (
        (first, group_folder(controller, groups, mounts)),
        (second, group_folder("", groups, mounts)),
    ):
        if place is not None and (place / name).exists():
            return place / name
    return None


def group_folder(controller: str, groups: str, mounts: str) -> Path | None:
    """Return the folder of the group in the hierarchy of a controller; "" is version 2."""
    path = None
    for line in groups.splitlines():
        _, controllers, name = line.split(":", 2)
        if controller in controllers.split(","):
            path = name
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, mount = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        fits = controller in options.split()[-1].split(",") if controller else kind == "cgroup2"
        inside = below(path, root) if fits and kind.startswith("cgroup") else None
        if inside is not None:
            return Path(mount) / inside
    return None


def _cpu_seconds(path: Path) -> float:
    if path.name == "cpuacct.usage":
        return int(path.read_text()) / 1e9
    facts = dict(line.split() for line in path.read_text().splitlines())
    return int(facts["usage_usec"]) / 1e6
