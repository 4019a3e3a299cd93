"""Why a job waits, in one plain sentence that agrees with what `placement.place` would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from atlas_server.domain.placement import (
    DEFAULT_POLICY,
    EVEN,
    Fairness,
    Policy,
    Round,
    Running,
)
from atlas_server.domain.queue import Waiting, WaitQueue
from atlas_server.domain.resources import Demand, Node, demand_of
from atlas_server.domain.shortage import can_ever_fit, out_of_order, shortage


def explain(
    job_id: str,
    queue: WaitQueue,
    nodes: Sequence[Node],
    running: Iterable[Running],
    now: float,
    policy: Policy = DEFAULT_POLICY,
    fairness: Fairness = EVEN,
) -> str:
    """Why a job waits, or that it starts now: what `place` would do. Raises KeyError."""
    return explain_many([job_id], queue, nodes, running, now, policy, fairness)[job_id]


def explain_many(
    job_ids: Iterable[str],
    queue: WaitQueue,
    nodes: Sequence[Node],
    running: Iterable[Running],
    now: float,
    policy: Policy = DEFAULT_POLICY,
    fairness: Fairness = EVEN,
) -> dict[str, str]:
    """`explain` for several jobs at the price of one decision. Raises KeyError."""
    queue.release_due(now)
    running = tuple(running)
    before = Round(nodes, running, now, policy, fairness)
    after = Round(nodes, running, now, policy, fairness)
    started = {placement.job_id for placement in after.decide(queue).starts}
    job_ids = tuple(job_ids)
    # A listing shows the first jobs: their places come cheaper from one walk than one by one.
    first = queue.ranked(before.standing, 2 * len(job_ids))
    places = {job.job_id: ahead for ahead, job in enumerate(first)}
    sentences: dict[str, str] = {}
    for job_id in job_ids:
        job = queue.get(job_id)
        alike = queue.alike_ahead(job_id)
        if job_id in started:
            sentences[job_id] = "starts now"
        elif alike is not None and alike not in started and _limit(job, queue, after) is None:
            sentences[job_id] = _turn(job, queue, before, places)
        else:
            sentences[job_id] = _why(job, queue, nodes, before, after, places)
    return sentences


def _why(
    job: Waiting,
    queue: WaitQueue,
    nodes: Sequence[Node],
    before: Round,
    after: Round,
    places: Mapping[str, int],
) -> str:
    """Why the oldest of its kind waits."""
    if queue.is_delayed(job.job_id):
        return f"waits {_duration((job.not_before or after.now) - after.now)} before retry"
    demand = demand_of(job.resources)
    large_enough = before.large_enough(demand, job.wish)
    nodes = job.wish.among(nodes)
    if not large_enough:
        return _nowhere(job, demand, nodes)
    limited = _limit(job, queue, after)
    if limited is not None:
        return limited
    if not before.fitting(demand, job.wish):
        frees = [spot.free for spot in large_enough]
        return f"waits for {shortage(demand, frees, job.wish.nodes)}"
    for spot in after.fitting(demand, job.wish):
        if spot.hold is not None:
            first = spot.hold.waiting
            waited = _duration(after.now - first.queued_at)
            return f"held back so that job {first.job_id}, which has waited {waited}, can start"
    return _turn(job, queue, before, places)


def _nowhere(job: Waiting, demand: Demand, nodes: Sequence[Node]) -> str:
    """Why none of the nodes that a job may run on would take it, even empty."""
    if not nodes and job.wish.executor is not None:
        return f"waits for {job.wish.executor} to tell what it has"
    too_much = can_ever_fit(job.resources, nodes, job.wish.nodes)
    if too_much is not None:
        return f"cannot start: {too_much}"
    broken = out_of_order(demand, nodes)
    if broken is not None:
        return f"waits for {broken}"
    several = job.wish.nodes > 1
    return f"waits for {'nodes' if several else 'a node'} large enough to accept jobs again"


def _limit(job: Waiting, queue: WaitQueue, after: Round) -> str | None:
    """The limit of its user or project that a job waits for, if it is one."""
    if queue.is_delayed(job.job_id):
        return None
    obstacle = after.allowance.obstacle(
        job, demand_of(job.resources).times(job.wish.nodes), job.job_id
    )
    return after.allowance.sentence(obstacle) if obstacle else None


def _turn(job: Waiting, queue: WaitQueue, before: Round, places: Mapping[str, int]) -> str:
    ahead = places.get(job.job_id)
    if ahead is None:
        ahead = queue.position(job.job_id, before.standing)
    return f"waits for its turn: {ahead} {'job is' if ahead == 1 else 'jobs are'} ahead"


def _duration(seconds: float) -> str:
    """In the coarsest unit of which there are two: "12 s", "6 min", "3 h", "2 days"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(int(-(-seconds // 1)), 0)} s"
