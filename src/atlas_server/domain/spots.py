"""Nodes while one decision is made: what is free there, who is on them, for whom they are held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atlas_server.domain.queue import Waiting
from atlas_server.domain.resources import Demand, Free, Held, Node

NEVER = (True, float("inf"))
"""The order of what starts at no time that anybody knows."""

_NOW = (False, float("-inf"))


@dataclass(slots=True)
class Occupant:
    """A job on a node; `end` is None where it is not known."""

    held: Held
    started_at: float
    end: float | None

    def order(self) -> tuple[bool, float]:
        """By end where it is known; behind those by start."""
        return self.end is None, self.started_at if self.end is None else self.end


@dataclass(slots=True)
class Hold:
    """A node kept for a job: `then` is what is free there when the job can start, at `at`.

    `order` is that of the last job that it waits for: the least belongs to the node where it can
    start soonest.
    """

    waiting: Waiting
    demand: Demand
    at: float | None
    then: Free
    order: tuple[bool, float]
    hard: bool = False

    def admits(self, held: Held, end: float | None) -> bool:
        """Whether a job with this end (None: not known) may start without delaying the held."""
        if self._ends_before(end):
            return True
        self.then.take(held)
        fits = self.then.fits(self.demand)
        self.then.give(held)
        return fits

    def admit(self, held: Held, end: float | None) -> None:
        """Count a job that has been let through."""
        if not self._ends_before(end):
            self.then.take(held)

    def _ends_before(self, end: float | None) -> bool:
        return self.at is not None and end is not None and end <= self.at


class Spot:
    """An accepting node in one round: what is free, who is on it, for whom it is held."""

    __slots__ = (
        "_in_order", "_occupants", "changes", "empty", "executor", "free", "hold", "number",
    )  # fmt: skip

    def __init__(self, node: Node, number: int = 0) -> None:
        """`number` is its place among the spots of the round."""
        self.executor = node.executor
        self.number = number
        self.changes = 0
        self.empty = Free(node)
        self.free = Free(node)
        self._occupants: list[Occupant] = []
        self._in_order = True
        self.hold: Hold | None = None

    def put(self, held: Held, started_at: float, end: float | None) -> None:
        """Count a job that is here; `end` is when it ends at the latest."""
        self.free.take(held)
        self.changes += 1
        self._occupants.append(Occupant(held, started_at, end))
        self._in_order = False
        if self.hold is not None:
            self.hold.admit(held, end)

    def way_in(self, demand: Demand, end: float | None) -> Held | None:
        """How a demand that fits can be held here without delaying the one held for, if it can."""
        for held in self.free.options(demand):
            if self.hold is None or not self.hold.hard or self.hold.admits(held, end):
                return held
        return None

    def outlook(
        self, waiting: Waiting, demand: Demand, sooner_than: tuple[bool, float]
    ) -> Hold | None:
        """The hold that this node, which is large enough, would be; None where it starts later."""
        if not self._in_order:
            self._occupants.sort(key=Occupant.order)
            self._in_order = True
        then = self.free.copy()
        awaited: list[Occupant] = []
        for occupant in self._occupants:
            if occupant.order() >= sooner_than:
                return None
            then.give(occupant.held)
            awaited.append(occupant)
            if then.fits(demand):
                break
        last = awaited[-1]  # where it fits already it has been started, not held for
        if last.end is not None:
            return Hold(waiting, demand, last.end, then, last.order())
        # Only ends that it needs are waited for, the oldest jobs' rather than the latest's.
        for occupant in sorted(awaited[:-1], key=lambda one: -one.started_at):
            then.take(occupant.held)
            if not then.fits(demand):
                then.give(occupant.held)
        return Hold(waiting, demand, None, then, last.order())


Way = tuple[Spot, Held]
"""A place for a job, or for one of its nodes."""


def enough(spots: list[Spot], number: int) -> list[Spot]:
    """Return those of the spots whose executor has `number` of them."""
    if number == 1:
        return spots
    counts: dict[str, int] = {}
    for spot in spots:
        counts[spot.executor] = counts.get(spot.executor, 0) + 1
    return [spot for spot in spots if counts[spot.executor] >= number]


def chosen(ways: Iterable[Way], number: int) -> list[Way]:
    """Return the first `number` of the ways that lead to one executor; none where they do not."""
    found: dict[str, list[Way]] = {}
    for way in ways:
        together = found.setdefault(way[0].executor, [])
        together.append(way)
        if len(together) == number:
            return together
    return []


def soonest_together(
    spots: Iterable[Spot], waiting: Waiting, demand: Demand, now: float
) -> list[tuple[Hold, Spot]]:
    """Return the nodes of one executor on which a job of several can start soonest."""
    found: dict[str, list[tuple[Hold, Spot]]] = {}
    for spot in spots:
        fits = spot.free.fits(demand)
        hold = (
            Hold(waiting, demand, now, spot.free.copy(), _NOW)
            if fits
            else spot.outlook(waiting, demand, NEVER)
        )
        if hold is not None:
            found.setdefault(spot.executor, []).append((hold, spot))
    number = waiting.wish.nodes
    groups = [
        sorted(holds, key=lambda one: one[0].order)[:number]
        for holds in found.values()
        if len(holds) >= number
    ]
    return min(groups, key=lambda holds: holds[-1][0].order) if groups else []


def latest(moments: Iterable[float | None]) -> float | None:
    """Return the last of some moments; None where one of them is not known."""
    known: list[float] = []
    for moment in moments:
        if moment is None:
            return None
        known.append(moment)
    return max(known, default=None)
