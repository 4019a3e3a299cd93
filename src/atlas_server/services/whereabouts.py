"""What engines say of attempts: where they have put them, or why they keep them waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from atlas_server.domain.ports import Clock
from atlas_server.domain.records import AttemptRecord
from atlas_server.domain.resources import GIVEN, Allocation, Node, recorded
from atlas_server.services.feed import Feed
from atlas_server.store import events, jobs
from atlas_server.store.engine import Store
from foundations.contract.states import JobState


class Whereabouts:
    """Writes down what an engine tells."""

    def __init__(
        self, store: Store, feed: Feed, clock: Clock, nodes: Callable[[], Sequence[Node]]
    ) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._nodes = nodes

    def relocate(self, attempt: AttemptRecord, allocation: Allocation) -> None:
        """Note where an attempt is, if it is not over."""
        kept = recorded(allocation, self._nodes())
        with self._store.write() as connection:
            current = jobs.find_attempt(connection, attempt.id)
            if current is None or current.ended_at is not None:
                return
            given = current.allocation.get(GIVEN)
            values = {"allocation": {**kept, GIVEN: given} if given else kept}
            jobs.update_attempt(connection, attempt.id, values)
            payload = {"node": allocation.node}
            events.append(connection, self._clock.now(), "job.placed", attempt.job_id, payload)
        self._feed.notify(attempt.job_id, moved=False)

    def wait(self, why: Mapping[str, str]) -> None:
        """Note why jobs that are starting wait in their engines; it stands there until they run."""
        told = []
        with self._store.write() as connection:
            for job_id, message in why.items():
                job = jobs.find(connection, job_id)
                if job is None or job.state is not JobState.STARTING or job.message == message:
                    continue
                jobs.set_values(connection, job.id, {"message": message})
                events.append(
                    connection, self._clock.now(), "job.waits", job_id, {"message": message}
                )
                told.append(job_id)
        for job_id in told:
            self._feed.notify(job_id, moved=False)
