"""The scheduler: one thread that observes, reconciles, places and launches.

It sleeps until something changes: a job (the feed), a runner's end (the executor), or the next
moment at which a retry is due, a lease ends or a reservation turns hard.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.explanation import explain, explain_many
from atlas_server.domain.placement import (
    Decision,
    Policy,
    Running,
    place,
    standing_of,
)
from atlas_server.domain.ports import Clock, Executor, Handle
from atlas_server.domain.queue import Waiting, WaitQueue
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import Allocation, Node
from atlas_server.domain.wishes import Wish
from atlas_server.scheduler.launch import Launcher
from atlas_server.scheduler.reconcile import Reconciler
from atlas_server.scheduler.shares import Shares
from atlas_server.services.feed import Feed
from atlas_server.services.leadership import Leadership, Machines, NotLeading
from atlas_server.services.meters import Meters
from atlas_server.services.snapshots import Snapshots
from foundations.contract.states import JobState
from foundations.errors import Unavailable

log = logging.getLogger(__name__)

# Even when nothing changes: backends may have lost a runner without a word.
_LONGEST_SLEEP = 30.0
# While nodes are drained: another process may let them take jobs again.
_DRAINED_SLEEP = 5.0


class Scheduler:
    """Brings waiting jobs and free resources together.

    Where several processes could, only the one that leads does; the others keep up with the queue.
    `machines` are what it can place on, as the leading one sees it; `executors` are also those that
    attempts may still be on.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        feed: Feed,
        executors: Mapping[str, Executor],
        launcher: Launcher,
        reconciler: Reconciler,
        clock: Clock,
        policy: Policy,
        shares: Shares,
        meters: Meters,
        leadership: Leadership,
        machines: Machines,
    ) -> None:
        self._leadership = leadership
        self._machines = machines
        self._led = False
        self._snapshots = snapshots
        self._executors = executors
        self._launcher = launcher
        self._reconciler = reconciler
        self._clock = clock
        self._policy = policy
        self._shares = shares
        self._meters = meters
        self._looked = time.monotonic()
        self._queue = WaitQueue()
        self._held: dict[str, tuple[JobRecord, AttemptRecord]] = {}
        self._seq = 0
        # Guards what the API reads of the queue while the thread works on it.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._forget = feed.listen(None, self._wake.set, moves_only=True)
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Read the queue and begin to schedule."""
        self._load()
        self._thread.start()

    def runner_ended(self, handle: Handle) -> None:
        """Look again if the runner of an attempt that is not over has ended."""
        for _, attempt in list(self._held.values()):
            if handle in (attempt.handle, self._launcher.handles.get(attempt.id)):
                self._wake.set()

    def last_look(self) -> float | None:
        """Return when the thread last began to look, by the monotonic clock; None: it has ended."""
        return self._looked if self._thread.is_alive() else None

    def close(self) -> None:
        """End the thread; runners are left to themselves."""
        self._stopping = True
        self._forget()
        self._wake.set()
        self._thread.join()

    def nodes(self) -> list[Node]:
        """Return every node of every executor."""
        return list(self._machines.nodes())

    def usage(self) -> dict[str, NodeLive]:
        """Return what goes on at the nodes that can be seen from here."""
        return dict(self._machines.usage())

    def wake(self) -> None:
        """Look again, at once: there is something else to place on, or another who does it."""
        self._wake.set()

    def running(self) -> list[Running]:
        """Return what runs."""
        return self._running()

    def allocations(self) -> dict[str, Allocation]:
        """Return what each running job holds."""
        return {item.job_id: item.allocation for item in self._running()}

    def waiting(self, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """Return how many jobs wait, and for those whose turn is next: (job ID, why it waits)."""
        nodes, running, now = self.nodes(), self._running(), self._clock.now()
        with self._lock:
            fairness = self._shares.fairness(running, now)
            standing = standing_of(nodes, running, fairness)
            ahead = [job.job_id for job in self._queue.ranked(standing, limit)]
            ahead += [job.job_id for job in self._queue.delayed()[: limit - len(ahead)]]
            why = explain_many(ahead, self._queue, nodes, running, now, self._policy, fairness)
            return len(self._queue), [(job_id, why[job_id]) for job_id in ahead]

    def why_waits(self, job_id: str) -> tuple[int | None, str] | None:
        """Return (jobs ahead, the reason in a sentence); None when the job does not wait."""
        nodes, running, now = self.nodes(), self._running(), self._clock.now()
        with self._lock:
            if job_id not in self._queue:
                return None
            fairness = self._shares.fairness(running, now)
            position = self._queue.position(job_id, standing_of(nodes, running, fairness))
            why = explain(job_id, self._queue, nodes, running, now, self._policy, fairness)
            return position, why

    def _run(self) -> None:
        while not self._stopping:
            # Cleared first: a change during the step is seen by the next one.
            self._wake.clear()
            self._looked = time.monotonic()
            try:
                with self._meters.steps.time():
                    pause = self._step()
            except NotLeading:
                log.warning("Another process has taken over; this one only looks on.")
                pause = _LONGEST_SLEEP
            except Unavailable as error:
                log.warning("The scheduler waits: %s", error.message)
                pause = 1.0
            except Exception:
                # A scheduler that dies stops every job: log, wait, go on.
                log.exception("The scheduler met an unexpected error; it goes on.")
                pause = 5.0
            self._wake.wait(pause)

    def _step(self) -> float:
        self._observe()
        leads = self._leadership.leads
        if leads and not self._led:
            self._take_over()
        self._led = leads
        if not leads:
            return _LONGEST_SLEEP
        now = self._clock.now()
        if self._reconciler.run(list(self._held.values()), self._executors, now):
            self._observe()
        running, nodes = self._running(), self.nodes()
        fairness = self._shares.fairness(running, now)
        with self._lock:
            self._queue.release_due(now)
            decision = place(self._queue, nodes, running, now, self._policy, fairness)
        started = self._launch(decision, {node.name: node.executor for node in nodes})
        # What could not be launched has freed its place: place again at once.
        return 0.0 if started < len(decision.starts) else self._pause(decision, now, nodes)

    def _take_over(self) -> None:
        self._observe()
        self._reconciler.restarted([attempt for _, attempt in self._held.values()])

    def _launch(self, decision: Decision, whose: Mapping[str, str]) -> int:
        started = 0
        for start in decision.starts:
            executor = self._executors[whose[start.allocation.node]]
            begun = self._launcher.launch(start.job_id, start.allocation, executor)
            with self._lock:
                self._queue.remove(start.job_id)
            if begun is not None:
                self._held[start.job_id] = begun
                self._meters.waits.observe(begun[1].created_at - begun[0].queued_at)
                started += 1
        return started

    def _pause(self, decision: Decision, now: float, nodes: Sequence[Node]) -> float:
        drained = any(node.drained for node in nodes) and len(self._queue)
        moments = [now + (_DRAINED_SLEEP if drained else _LONGEST_SLEEP)]
        due = self._queue.next_due()
        if due is not None:
            moments.append(due)
        for reservation in decision.reservations:
            if reservation.job_id in self._queue:
                hard_at = self._queue.get(reservation.job_id).queued_at + self._policy.patience
                moments.append(hard_at if hard_at > now else moments[0])
        lease = self._reconciler.next_check()
        if lease is not None:
            moments.append(lease)
        return max(0.01, min(moments) - now)

    def _load(self) -> None:
        self._shares.load(self._snapshots.held_since(self._clock.now() - self._shares.horizon))
        self._seq, waiting, jobs, attempts = self._snapshots.unfinished()
        for entry in waiting:
            self._queue.add(entry)
        by_job = {attempt.job_id: attempt for attempt in attempts}
        for job in jobs:
            self._place_in_memory(job, by_job.get(job.job_id))

    def _observe(self) -> None:
        """Bring the queue and the held resources up to date with the event log."""
        while True:
            self._seq, gone, jobs, attempts = self._snapshots.changes(self._seq)
            if not jobs and not gone:
                return
            by_job = {attempt.job_id: attempt for attempt in attempts}
            for job_id in gone:
                self._drop(job_id)
            for job in jobs:
                self._place_in_memory(job, by_job.get(job.job_id))

    def _place_in_memory(self, job: JobRecord, attempt: AttemptRecord | None) -> None:
        before = self._held.get(job.job_id)
        self._drop(job.job_id)
        if job.state is JobState.QUEUED:
            with self._lock:
                self._queue.add(_waiting(job))
        elif not job.state.is_final and attempt is not None:
            self._held[job.job_id] = (job, attempt)
        after = self._held.get(job.job_id)
        if before is not None and (after is None or after[1].id != before[1].id):
            self._shares.ended(*before, self._clock.now())
            self._meters.attempt_ended(job.state, job.reason.value if job.reason else None)

    def _drop(self, job_id: str) -> None:
        self._held.pop(job_id, None)
        with self._lock:
            if job_id in self._queue:
                self._queue.remove(job_id)

    def _running(self) -> list[Running]:
        return [_running(job, attempt) for job, attempt in list(self._held.values())]


def _waiting(job: JobRecord) -> Waiting:
    return Waiting(
        job_id=job.job_id,
        user=job.user,
        priority=job.priority,
        arrival=job.arrival,
        resources=job.resources,
        queued_at=job.queued_at,
        not_before=job.not_before,
        timeout=job.timeout,
        project=job.project,
        wish=Wish.from_text(job.wish),
    )


def _running(job: JobRecord, attempt: AttemptRecord) -> Running:
    return Running(
        job_id=job.job_id,
        user=job.user,
        allocation=Allocation.from_json(attempt.allocation),
        started_at=attempt.started_at or attempt.created_at,
        timeout=job.timeout,
        priority=job.priority,
        project=job.project,
    )
