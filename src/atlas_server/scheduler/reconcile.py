"""Compares what the store says of running attempts with what their backends say.

The runner's word beats the backend's: only a runner that is gone for certain, or that has been
silent past its lease while its backend does not have it, is given up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from atlas_server.domain.leases import ELSEWHERE
from atlas_server.domain.ports import GONE, UNKNOWN, Executor, Life, Observation
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.relocation import devices, relocated
from atlas_server.domain.resources import GIVEN, Allocation, Node
from atlas_server.scheduler.launch import Launcher
from atlas_server.services.jobs import Jobs
from atlas_server.services.leases import Leases
from atlas_server.services.whereabouts import Whereabouts
from foundations.contract.states import JobState, StateReason

log = logging.getLogger(__name__)

Held = tuple[JobRecord, AttemptRecord]

# A second and third runner may die while they take in what the first one left; then it is enough.
_MOST_RECOVERIES = 3


class Reconciler:
    """Asks runners to stop, and ends attempts that nobody works on any more."""

    def __init__(
        self,
        jobs: Jobs,
        leases: Leases,
        whereabouts: Whereabouts,
        launcher: Launcher,
        grace: float,
    ) -> None:
        self._jobs = jobs
        self._whereabouts = whereabouts
        self._leases = leases
        self._launcher = launcher
        self._grace = grace
        self._asked_to_stop: set[int] = set()
        self._next_check: float | None = None

    def restarted(self, attempts: Iterable[AttemptRecord]) -> None:
        """Give every attempt a new lease: while the server was away nobody could renew one."""
        self._leases.renew(list(attempts))

    def next_check(self) -> float | None:
        """Return when the next lease without a handle ends."""
        return self._next_check

    def run(self, held: Sequence[Held], executors: Mapping[str, Executor], now: float) -> bool:
        """Act on every attempt that holds resources; True where one was found without a runner."""
        acted = False
        self._next_check = None
        open_attempts = {attempt.id for _, attempt in held}
        self._asked_to_stop &= open_attempts
        self._launcher.forget_except(open_attempts)
        for name, executor in executors.items():
            own = [item for item in held if item[1].executor == name]
            acted |= self._run_on(executor, own, now)
        for job, attempt in held:
            # Nor can anybody look where an executor was that is not configured any more.
            if attempt.executor == ELSEWHERE or attempt.executor not in executors:
                acted |= self._check_elsewhere(job, attempt, now)
        return acted

    def _run_on(self, executor: Executor, held: Sequence[Held], now: float) -> bool:
        acted = False
        handles = {attempt.id: self._handle(attempt) for _, attempt in held}
        observed = executor.observe([handle for handle in handles.values() if handle])
        waits: dict[str, str] = {}
        told = any(attempt.allocation.get(GIVEN) for _, attempt in held)
        nodes = {node.name: node for node in executor.nodes()} if told else {}
        for job, attempt in held:
            handle = handles[attempt.id]
            if handle is None:
                acted |= self._check_lease(job, attempt, executor, now)
                continue
            seen = observed.get(handle, UNKNOWN)
            if seen.life is Life.GONE and self._is_given_up(attempt, seen, now):
                self._recover(job, attempt, executor, seen)
                acted = True
            elif job.state is JobState.STOPPING and attempt.id not in self._asked_to_stop:
                self._asked_to_stop.add(attempt.id)
                executor.stop(handle, grace=self._grace)
            elif seen.node is not None and _is_elsewhere(attempt, seen, nodes):
                self._relocate(attempt, _nodes_of(seen), executor, held)
                acted = True
            elif job.state is JobState.STARTING and _is_news(seen, job):
                waits[job.job_id] = seen.message or ""
        if waits:
            self._whereabouts.wait(waits)
        return acted or bool(waits)

    def _is_given_up(self, attempt: AttemptRecord, seen: Observation, now: float) -> bool:
        """Whether a runner that its backend does not have counts as gone.

        One that is only out of the backend's sight may well live: it does while it is heard of.
        """
        return seen.certain or self._is_past_lease(attempt, now)

    def _relocate(
        self, attempt: AttemptRecord, nodes: Sequence[str], executor: Executor, held: Sequence[Held]
    ) -> None:
        others = [Allocation.from_json(each.allocation) for _, each in held if each != attempt]
        own = Allocation.from_json(attempt.allocation)
        given = attempt.allocation.get(GIVEN, ())
        allocation = relocated(own, nodes, executor.nodes(), others, given)
        self._whereabouts.relocate(attempt, allocation)

    def _handle(self, attempt: AttemptRecord) -> str | None:
        # The newest launch of this server's life counts: a recovery has another handle.
        return self._launcher.handles.get(attempt.id) or attempt.handle

    def _check_lease(
        self, job: JobRecord, attempt: AttemptRecord, executor: Executor, now: float
    ) -> bool:
        if not self._is_past_lease(attempt, now):
            return False
        log.warning("The runner of job %s never reported.", job.job_id)
        self._recover(job, attempt, executor, GONE)
        return True

    def _is_past_lease(self, attempt: AttemptRecord, now: float) -> bool:
        lease_until = self._leases.until(attempt.id)
        if lease_until > now and (self._next_check is None or lease_until < self._next_check):
            self._next_check = lease_until
        return lease_until <= now

    def _check_elsewhere(self, job: JobRecord, attempt: AttemptRecord, now: float) -> bool:
        """Give up a job of another machine that is not heard of any more: there is no other way."""
        stopping = job.state is JobState.STOPPING
        lost = self._leases.until(attempt.id) <= now
        if not lost and not (stopping and self._leases.is_silent(attempt.id, now)):
            return False
        message = "Nothing has been heard of the machine that the program ran on."
        self._jobs.give_up(attempt, message, StateReason.LOST)
        return True

    def _recover(
        self, job: JobRecord, attempt: AttemptRecord, executor: Executor, seen: Observation
    ) -> None:
        # The report that ended the attempt may have come between our read and the look.
        current = self._leases.current(attempt.id)
        if current is None or current.ended_at is not None:
            return
        if not seen.began or not seen.reachable:
            self._launcher.handles.pop(attempt.id, None)
            message = seen.message or "The job's runner is out of reach."
            self._jobs.give_up(current, message, seen.reason or StateReason.LOST, began=seen.began)
            return
        if current.recoveries < _MOST_RECOVERIES:
            log.warning("The runner of job %s is gone; taking in what it left.", job.job_id)
            handle = executor.handle_of(current.id, current.recoveries + 1)
            self._leases.count_recovery(current, handle)
            self._launcher.recover(job, current, executor, seen)
            return
        self._launcher.handles.pop(attempt.id, None)
        self._jobs.give_up(
            current, "The job's runner died and so did its successors.", StateReason.LOST
        )


def _is_news(seen: Observation, job: JobRecord) -> bool:
    """Whether its engine keeps it waiting for a reason that it has not told before."""
    return seen.life is Life.WAITING and seen.message not in (None, job.message)


def _is_elsewhere(attempt: AttemptRecord, seen: Observation, nodes: Mapping[str, Node]) -> bool:
    """Whether an attempt is on other nodes than is written down, or has other devices."""
    allocation = Allocation.from_json(attempt.allocation)
    if _nodes_of(seen) != [part.node for part in allocation.parts()]:
        return True
    node, given = nodes.get(allocation.node), attempt.allocation.get(GIVEN)
    known = devices(node, given) if node is not None and given else ()
    return bool(known) and set(known) != {uuid for uuid, _ in allocation.gpus}


def _nodes_of(seen: Observation) -> list[str]:
    return [name for name in (seen.node, *seen.others) if name is not None]
