"""Memory limits by control groups, version 1 and 2; a sum over the process tree elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "atlas."
_count = itertools.count()

# The shell joins the group and then becomes the worker, which is therefore limited from its first
# instruction on; a function between fork and exec would cost a copy of this process's page tables.
_JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@dataclass(frozen=True)
class MemoryLimit:
    """A control group that holds one worker and everything it starts.

    Two things make the kernel's word on memory useful: `oom_kills` counts the processes of this
    group that it killed, and `remove` leaves nothing behind.
    """

    path: Path
    version: int

    @classmethod
    def create(cls, limit: int, owner: str) -> MemoryLimit | None:
        """Make a group of `limit` bytes, swap included; None where this process may not.

        `owner` is the identity of the process that answers for the group (see `sweep`).
        """
        parent = parent_group()
        if parent is None:
            return None
        group = cls(parent.path / f"{_PREFIX}{owner}.{next(_count)}", parent.version)
        try:
            group.path.mkdir()
        except OSError:
            return None
        try:
            group._set(limit)
        except OSError:
            group.remove()
            return None
        return group

    def _set(self, limit: int) -> None:
        if self.version == 1:
            (self.path / "memory.limit_in_bytes").write_text(str(limit))
            # Absent where the kernel does not account for swap.
            with contextlib.suppress(OSError):
                (self.path / "memory.memsw.limit_in_bytes").write_text(str(limit))
        else:
            (self.path / "memory.max").write_text(str(limit))
            with contextlib.suppress(OSError):
                (self.path / "memory.swap.max").write_text("0")

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` inside the group."""
        return ["/bin/sh", "-c", _JOIN, str(self.path), *argv]

    def oom_kills(self) -> int:
        """Return how many processes of the group the kernel has killed for want of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with contextlib.suppress(OSError):
            for line in (self.path / name).read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
        return 0

    def members(self) -> list[int]:
        """Return the processes in the group."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]
        return []

    def remove(self) -> None:
        """Remove the group; one that still holds a process stays, for `sweep`."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def sweep(alive: Callable[[str], bool]) -> int:
    """Remove the empty groups whose owner is not `alive`; return how many they were."""
    parent = parent_group()
    if parent is None:
        return 0
    removed = 0
    for path in parent.path.glob(_PREFIX + "*"):
        owner = path.name.split(".")[1]
        group = MemoryLimit(path, parent.version)
        if not alive(owner) and not group.members():
            group.remove()
            removed += not path.exists()
    return removed


def resident_memory(pids: Iterable[int]) -> int:
    """Return the bytes of memory that the processes `pids` hold; ended ones count nothing."""
    import psutil  # noqa: PLC0415 - where the kernel limits, nobody asks

    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_info().rss
    return total


@dataclass(frozen=True)
class _Parent:
    path: Path
    version: int


def parent_group() -> _Parent | None:
    """Return the group below which this process may make groups with a memory limit."""
    try:
        own = own_groups(Path("/proc/self/cgroup").read_text())
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return None  # not Linux
    for version, root, mount in hierarchies(mounts):
        inside = below(own.get(version), root)
        if inside is None:
            continue
        for path in candidates(version, mount, inside):
            if os.access(path, os.W_OK) and os.access(path / "cgroup.procs", os.W_OK):
                return _Parent(path, version)
    return None


def own_groups(text: str) -> dict[int, str]:
    """Return this process's group by version, from the text of /proc/self/cgroup."""
    own: dict[int, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            own[2] = path
        elif "memory" in controllers.split(","):
            own[1] = path
    return own


def hierarchies(text: str) -> Iterator[tuple[int, str, Path]]:
    """Yield (version, root, mount point) of each hierarchy that could limit memory."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        root, mount = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup" and "memory" in options.split()[-1].split(","):
            yield 1, root, Path(mount)
        elif kind == "cgroup2":
            yield 2, root, Path(mount)


def below(path: str | None, root: str) -> str | None:
    """Return `path` relative to the mounted `root`; None when it lies outside."""
    if path is None or ".." in path:
        return None
    root = root.rstrip("/")
    if path != root and not path.startswith(root + "/"):
        return None
    return path[len(root) :].strip("/")


def candidates(version: int, mount: Path, inside: str) -> Iterator[Path]:
    """Yield the groups below which this process's workers could be put, the best first."""
    own = mount / inside
    if version == 1:
        # Below this process's own group: whatever limits this process limits its workers too.
        yield own
        return
    # In version 2 a group with processes in it cannot limit its children, save the real root.
    if inside == "" and not (own / "cgroup.type").exists() and _gives_memory(own):
        yield own
    while own != mount:
        own = own.parent
        if _gives_memory(own):
            yield own


def _gives_memory(path: Path) -> bool:
    """Whether the children of a version 2 group get the memory controller; asks for it if not."""
    try:
        control = path / "cgroup.subtree_control"
        if "memory" in control.read_text().split():
            return True
        if "memory" not in (path / "cgroup.controllers").read_text().split():
            return False
        control.write_text("+memory")
    except OSError:
        return False
    return True
