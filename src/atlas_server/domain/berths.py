"""What attempts need of a pilot, and whether there is room for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# What pilots that may carry the same jobs have in common: how an engine is asked for both.
Kind = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """What an attempt uses: `memory` in bytes; for `seconds`, where that is known."""

    cpus: float
    memory: int
    gpus: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What is free of a pilot; `left` is for how many seconds it has its place, None: unknown."""

    cpus: float
    memory: int
    gpus: int
    left: float | None = None

    def fits(self, need: Need) -> bool:
        """Whether there is room for this."""
        return (
            need.cpus <= self.cpus
            and need.memory <= self.memory
            and need.gpus <= self.gpus
            and (need.seconds is None or self.left is None or need.seconds <= self.left)
        )

    def less(self, needs: Iterable[Need], left: float | None) -> Room:
        """Return what these leave of it, for so long."""
        cpus, memory, gpus = self.cpus, self.memory, self.gpus
        for need in needs:
            cpus, memory, gpus = cpus - need.cpus, memory - need.memory, gpus - need.gpus
        return Room(cpus, memory, gpus, left)
