"""Which waiting jobs start now, where, and why the others wait.

Turns go by priority, then to the user who has had least for their share, then by arrival. A job
that does not fit lets those behind it pass (backfill) but is not starved: it gets a *hold* on the
node where it can start soonest. Once it has waited longer than the policy's patience the hold is
hard, and only jobs that do not delay it may still start there.

A hold knows its node as it will be when the job can start (`Hold.then`). A job is let through if
it ends before that, or if both fit then. Where an end is not known, jobs without a time limit are
taken to end in the order in which they started: what is let through is never waited for, so the
held job starts at the latest when the jobs that ran at the beginning of its hold have ended.

Limits of users and projects come first: a job that is over one keeps nobody else out, see
`allowance`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from atlas_server.domain.allowance import Allowance, Obstacle
from atlas_server.domain.frontier import Frontier
from atlas_server.domain.limits import NO_RULES, Rules
from atlas_server.domain.queue import Line, Standing, Turns, Waiting, WaitQueue
from atlas_server.domain.resources import (
    Allocation,
    Demand,
    Free,
    Held,
    Node,
    capacity,
    held_by,
)
from atlas_server.domain.wishes import ANYWHERE, Wish


@dataclass(frozen=True, slots=True)
class Running:
    """A job that holds its allocation; `started_at` in seconds since the epoch."""

    job_id: str
    user: str
    allocation: Allocation
    started_at: float
    timeout: float | None = None
    priority: int = 0
    project: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """`patience`: seconds for which a job that does not fit lets any other pass.

    `holds`: for how many impatient jobs at most nodes are held; of the others the first has one.
    """

    patience: float = 300.0
    holds: int = 10


@dataclass(frozen=True, slots=True)
class Fairness:
    """The limits and shares of users and projects, and what users have held lately."""

    rules: Rules = NO_RULES
    past: Mapping[str, Demand] = field(default_factory=dict[str, Demand])


@dataclass(frozen=True, slots=True)
class Placement:
    """This job starts now, with this."""

    job_id: str
    allocation: Allocation


@dataclass(frozen=True, slots=True)
class Reservation:
    """This job is to start next on that node, `at` the latest where all ends are known.

    `hard`: it has waited longer than the patience, and what gets free is kept for it.
    """

    job_id: str
    node: str
    at: float | None
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to start, in order, and what is reserved. All others wait."""

    starts: tuple[Placement, ...] = ()
    reservations: tuple[Reservation, ...] = ()


DEFAULT_POLICY = Policy()
EVEN = Fairness()
_NEVER = (True, float("inf"))


def place(
    queue: WaitQueue,
    nodes: Sequence[Node],
    running: Iterable[Running],
    now: float,
    policy: Policy = DEFAULT_POLICY,
    fairness: Fairness = EVEN,
) -> Decision:
    """Decide who starts. Delayed jobs that are due join the queue; nothing else of it changes."""
    queue.release_due(now)
    return Round(nodes, tuple(running), now, policy, fairness).decide(queue)


def standing_of(
    nodes: Sequence[Node], running: Iterable[Running], fairness: Fairness = EVEN
) -> Standing:
    """What every user has had, and what there is: the ground for `WaitQueue.ranked`."""
    usage: dict[str, Demand] = dict(fairness.past)
    for job in running:
        amount = held_by(job.allocation).amount()
        usage[job.user] = usage.get(job.user, Demand()).plus(amount)
    return Standing(capacity(nodes), usage, fairness.rules)


@dataclass(slots=True)
class _Occupant:
    """A job on a node; `end` is None where it is not known."""

    held: Held
    started_at: float
    end: float | None

    def order(self) -> tuple[bool, float]:
        """By end where it is known; behind those by start."""
        return self.end is None, self.started_at if self.end is None else self.end


@dataclass(slots=True)
class _Hold:
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


class _Spot:
    """An accepting node in one round: what is free, who is on it, for whom it is held."""

    __slots__ = ("_in_order", "_occupants", "empty", "free", "hold")

    def __init__(self, node: Node) -> None:
        self.empty = Free(node)
        self.free = Free(node)
        self._occupants: list[_Occupant] = []
        self._in_order = True
        self.hold: _Hold | None = None

    def put(self, held: Held, started_at: float, end: float | None) -> None:
        self.free.take(held)
        self._occupants.append(_Occupant(held, started_at, end))
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
    ) -> _Hold | None:
        """The hold that this node, which is large enough, would be; None where it starts later."""
        if not self._in_order:
            self._occupants.sort(key=_Occupant.order)
            self._in_order = True
        then = self.free.copy()
        awaited: list[_Occupant] = []
        for occupant in self._occupants:
            if occupant.order() >= sooner_than:
                return None
            then.give(occupant.held)
            awaited.append(occupant)
            if then.fits(demand):
                break
        last = awaited[-1]  # where it fits already it has been started, not held for
        if last.end is not None:
            return _Hold(waiting, demand, last.end, then, last.order())
        # Only ends that it needs are waited for, the oldest jobs' rather than the latest's.
        for occupant in sorted(awaited[:-1], key=lambda one: -one.started_at):
            then.take(occupant.held)
            if not then.fits(demand):
                then.give(occupant.held)
        return _Hold(waiting, demand, None, then, last.order())


class Round:
    """One decision in the making."""

    def __init__(
        self,
        nodes: Sequence[Node],
        running: tuple[Running, ...],
        now: float,
        policy: Policy,
        fairness: Fairness = EVEN,
    ) -> None:
        self.now = now
        self.policy = policy
        self.standing = standing_of(nodes, running, fairness)
        self.allowance = Allowance(fairness.rules)
        self.spots = [_Spot(node) for node in nodes if node.accepting]
        by_name = {spot.free.node.name: spot for spot in self.spots}
        for job in running:
            self.allowance.take(job.job_id, job, held_by(job.allocation).amount())
            spot = by_name.get(job.allocation.node)
            if spot is not None:
                # A job past its end is being stopped: it is waited for, but starts nothing early.
                end = None if job.timeout is None else max(job.started_at + job.timeout, now)
                spot.put(held_by(job.allocation), job.started_at, end)
        # Of each wish: what found no place in one part of the machines may find it in another.
        self._no_place: defaultdict[Wish, Frontier] = defaultdict(Frontier)
        self._too_large: defaultdict[Wish, Frontier] = defaultdict(Frontier)
        self._holds_left = {True: min(policy.holds, len(self.spots)), False: 1}

    def decide(self, queue: WaitQueue) -> Decision:
        """Give every line its turns. The spots then stand as after the decision."""
        starts: list[Placement] = []
        turns = Turns(queue, self.standing)
        while (head := turns.head()) is not None:
            job_id, line = head
            obstacle = self.allowance.obstacle(line, line.demand, job_id)
            placed = self._start(line) if obstacle is None else None
            if placed is not None:
                self.allowance.take(job_id, line, line.demand)
                starts.append(Placement(job_id, placed))
                turns.start()
            else:
                self._keep_for(queue.get(job_id), line, obstacle)
                turns.skip_line()
        return Decision(tuple(starts), tuple(self._reservations()))

    def fitting(self, demand: Demand, wish: Wish = ANYWHERE) -> list[_Spot]:
        """Where a demand fits now, holds aside; the best fit first."""
        spots = [
            spot for spot in self.spots if spot.free.fits(demand) and wish.allows(spot.free.node)
        ]
        if len(spots) > 1:
            spots.sort(key=lambda spot: spot.free.leftover(demand))
        return spots

    def large_enough(self, demand: Demand, wish: Wish = ANYWHERE) -> list[_Spot]:
        """Where a demand would fit if nothing ran."""
        return [
            spot for spot in self.spots if spot.empty.fits(demand) and wish.allows(spot.free.node)
        ]

    def _start(self, line: Line) -> Allocation | None:
        demand, timeout = line.demand, line.timeout
        limit = float("inf") if timeout is None else timeout
        if self._no_place[line.wish].covers(demand, limit):
            return None
        spots = self.fitting(demand, line.wish)
        end = None if timeout is None else self.now + timeout
        for spot in spots:
            held = spot.way_in(demand, end)
            if held is not None:
                spot.put(held, self.now, end)
                return held.on(spot.free.node.name)
        self._no_place[line.wish].add(demand, limit if spots else 0.0)
        return None

    def _keep_for(self, waiting: Waiting, line: Line, obstacle: Obstacle | None) -> None:
        """See to it that a job that cannot start now is not starved by those behind it."""
        hard = self.now - waiting.queued_at >= self.policy.patience
        if obstacle is None:
            self._reserve(waiting, line.demand, hard=hard)
        # What can start at all counts against its limits from now on, whatever it lacks.
        hopeless = obstacle is not None and obstacle.hopeless
        if hard and not hopeless and not self.allowance.rules.empty:
            if self.large_enough(line.demand, line.wish):
                self.allowance.promise(waiting.job_id, line, line.demand)

    def _reserve(self, waiting: Waiting, demand: Demand, *, hard: bool) -> None:
        too_large = self._too_large[waiting.wish]
        if not self._holds_left[hard] or too_large.covers(demand, 0.0):
            return
        spots = self.large_enough(demand, waiting.wish)
        if not spots:
            too_large.add(demand, 0.0)
        # A patient job's hold gives way to an impatient one's: it keeps nobody out anyway.
        best: tuple[_Hold, _Spot] | None = None
        for spot in spots:
            if spot.hold is None or (hard and not spot.hold.hard):
                hold = spot.outlook(waiting, demand, best[0].order if best else _NEVER)
                best = (hold, spot) if hold else best
        if best is not None:
            hold, spot = best
            hold.hard, spot.hold = hard, hold
            self._holds_left[hard] -= 1

    def _reservations(self) -> Iterable[Reservation]:
        for spot in self.spots:
            hold = spot.hold
            if hold is not None:
                yield Reservation(hold.waiting.job_id, spot.free.node.name, hold.at, hold.hard)
