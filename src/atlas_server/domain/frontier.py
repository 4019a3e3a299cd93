"""What has been found not to fit, so that it is not tried again in one decision."""

from __future__ import annotations

from atlas_server.domain.resources import Demand


class Frontier:
    """The smallest demands that found no place: whatever asks for as much finds none either.

    Within a round less and less is free, so this holds until its end.
    """

    __slots__ = ("_smallest",)

    def __init__(self) -> None:
        self._smallest: list[tuple[int, int, int, float]] = []

    def covers(self, demand: Demand, timeout: float) -> bool:
        """Whether something no larger has found no place."""
        cpus, memory, gpus = demand
        for least_cpus, least_memory, least_gpus, shortest in self._smallest:
            if (
                least_cpus <= cpus
                and least_gpus <= gpus
                and least_memory <= memory
                and shortest <= timeout
            ):
                return True
        return False

    def add(self, demand: Demand, timeout: float) -> None:
        """Note that this has found no place."""
        new = (demand.cpus, demand.memory, demand.gpus, timeout)
        self._smallest = [
            old
            for old in self._smallest
            if any(had < has for had, has in zip(old, new, strict=True))
        ]
        self._smallest.append(new)
