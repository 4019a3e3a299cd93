"""Where engines have put attempts, as far as that was theirs to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atlas_server.domain.ports import Clock
from atlas_server.domain.records import AttemptRecord
from atlas_server.domain.resources import GIVEN, Allocation, Node, recorded
from atlas_server.services.feed import Feed
from atlas_server.store import events, jobs
from atlas_server.store.engine import Store


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
