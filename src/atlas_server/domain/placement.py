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
from dataclasses import dataclass, field, replace

from atlas_server.domain.allowance import Allowance, Obstacle
from atlas_server.domain.fits import Fits
from atlas_server.domain.frontier import Frontier
from atlas_server.domain.limits import NO_RULES, Rules
from atlas_server.domain.queue import Line, Standing, Turns, Waiting, WaitQueue
from atlas_server.domain.resources import Allocation, Demand, Node, capacity, held_by
from atlas_server.domain.spots import (
    NEVER,
    Hold,
    Spot,
    Way,
    chosen,
    enough,
    latest,
    soonest_together,
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
        usage[job.user] = usage.get(job.user, Demand()).plus(job.allocation.amount())
    return Standing(capacity(nodes), usage, fairness.rules)


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
        accepting = (node for node in nodes if node.accepting)
        self.spots = [Spot(node, number) for number, node in enumerate(accepting)]
        by_name = {spot.free.node.name: spot for spot in self.spots}
        for job in running:
            self.allowance.take(job.job_id, job, job.allocation.amount())
            # A job past its end is being stopped: it is waited for, but starts nothing early.
            end = None if job.timeout is None else max(job.started_at + job.timeout, now)
            for part in job.allocation.parts():
                spot = by_name.get(part.node)
                if spot is not None:
                    spot.put(held_by(part), job.started_at, end)
        # Of each wish: what found no place in one part of the machines may find it in another.
        self._no_place: defaultdict[Wish, Frontier] = defaultdict(Frontier)
        self._too_large: defaultdict[Wish, Frontier] = defaultdict(Frontier)
        self._fits: dict[tuple[Demand, Wish], Fits] = {}
        self._put_on: list[Spot] = []
        self._holds_left = {True: min(policy.holds, len(self.spots)), False: 1}

    def decide(self, queue: WaitQueue) -> Decision:
        """Give every line its turns. The spots then stand as after the decision."""
        starts: list[Placement] = []
        turns = Turns(queue, self.standing)
        while (head := turns.head()) is not None:
            job_id, line = head
            obstacle = self.allowance.obstacle(line, line.total, job_id)
            placed = self._start(line) if obstacle is None else None
            if placed is not None:
                self.allowance.take(job_id, line, line.total)
                starts.append(Placement(job_id, placed))
                turns.start()
            else:
                self._keep_for(queue.get(job_id), line, obstacle)
                turns.skip_line()
        return Decision(tuple(starts), tuple(self._reservations()))

    def fitting(self, demand: Demand, wish: Wish = ANYWHERE) -> list[Spot]:
        """Where a demand fits now on as many nodes as are wanted, holds aside; best fit first."""
        spots = [
            spot for spot in self.spots if spot.free.fits(demand) and wish.allows(spot.free.node)
        ]
        spots = enough(spots, wish.nodes)
        if len(spots) > 1:
            spots.sort(key=lambda spot: spot.free.leftover(demand))
        return spots

    def large_enough(self, demand: Demand, wish: Wish = ANYWHERE) -> list[Spot]:
        """Where a demand would fit, on as many nodes as are wanted, if nothing ran."""
        spots = [
            spot for spot in self.spots if spot.empty.fits(demand) and wish.allows(spot.free.node)
        ]
        return enough(spots, wish.nodes)

    def _start(self, line: Line) -> Allocation | None:
        demand, timeout = line.demand, line.timeout
        limit = float("inf") if timeout is None else timeout
        if self._no_place[line.wish].covers(demand, limit):
            return None
        end = None if timeout is None else self.now + timeout
        places, fits = self._places(demand, line.wish, end)
        if places:
            return self._put(places, end)
        self._no_place[line.wish].add(demand, limit if fits else 0.0)
        return None

    def _places(self, demand: Demand, wish: Wish, end: float | None) -> tuple[Sequence[Way], bool]:
        """Return where a job can start, and whether there was room, holds aside."""
        if wish.nodes > 1:
            spots = self.fitting(demand, wish)
            ways = ((spot, spot.way_in(demand, end)) for spot in spots)
            return chosen(((spot, held) for spot, held in ways if held), wish.nodes), bool(spots)
        fits = self._fits.get((demand, wish))
        if fits is None:
            fits = self._fits[demand, wish] = Fits(self.spots, self._put_on, demand, wish)
        way = fits.best(end)
        return ([way] if way is not None else []), not fits.is_empty

    def _put(self, places: Sequence[Way], end: float | None) -> Allocation:
        for spot, held in places:
            spot.put(held, self.now, end)
            self._put_on.append(spot)
        first, *others = (held.on(spot.free.node.name) for spot, held in places)
        return replace(first, others=tuple(others)) if others else first

    def _keep_for(self, waiting: Waiting, line: Line, obstacle: Obstacle | None) -> None:
        """See to it that a job that cannot start now is not starved by those behind it."""
        hard = self.now - waiting.queued_at >= self.policy.patience
        if obstacle is None:
            self._reserve(waiting, line.demand, hard=hard)
        # What can start at all counts against its limits from now on, whatever it lacks.
        hopeless = obstacle is not None and obstacle.hopeless
        if hard and not hopeless and not self.allowance.rules.empty:
            if self.large_enough(line.demand, line.wish):
                self.allowance.promise(waiting.job_id, line, line.total)

    def _reserve(self, waiting: Waiting, demand: Demand, *, hard: bool) -> None:
        too_large = self._too_large[waiting.wish]
        if not self._holds_left[hard] or too_large.covers(demand, 0.0):
            return
        spots = self.large_enough(demand, waiting.wish)
        if not spots:
            too_large.add(demand, 0.0)
        # A patient job's hold gives way to an impatient one's: it keeps nobody out anyway.
        able = [spot for spot in spots if spot.hold is None or (hard and not spot.hold.hard)]
        holds = self._soonest(waiting, demand, able)
        at = latest(hold.at for hold, _ in holds)
        for hold, spot in holds:
            hold.hard, hold.at, spot.hold = hard, at, hold
        self._holds_left[hard] -= bool(holds)

    def _soonest(
        self, waiting: Waiting, demand: Demand, spots: Sequence[Spot]
    ) -> list[tuple[Hold, Spot]]:
        """Where a job can start soonest, on all its nodes; nothing where that is not to be had."""
        if waiting.wish.nodes > 1:
            return soonest_together(spots, waiting, demand, self.now)
        best: list[tuple[Hold, Spot]] = []
        for spot in spots:
            hold = spot.outlook(waiting, demand, best[0][0].order if best else NEVER)
            best = [(hold, spot)] if hold else best
        return best

    def _reservations(self) -> Iterable[Reservation]:
        for spot in self.spots:
            hold = spot.hold
            if hold is not None:
                yield Reservation(hold.waiting.job_id, spot.free.node.name, hold.at, hold.hard)
