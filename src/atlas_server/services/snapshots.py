"""What the scheduler reads: all unfinished jobs once, then only what has changed."""

from __future__ import annotations

from sqlalchemy import Connection

from atlas_server.domain.past import Stay
from atlas_server.domain.queue import Waiting
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import demand_of
from atlas_server.domain.wishes import Wish
from atlas_server.store import events, jobs, limits, queue
from atlas_server.store.engine import Store
from foundations.contract.spec import Resources

Changes = tuple[int, set[str], list[JobRecord], list[AttemptRecord]]


class Snapshots:
    """Consistent reads of the queue."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def unfinished(self) -> tuple[int, list[Waiting], list[JobRecord], list[AttemptRecord]]:
        """Return the newest event's number, who waits, who holds resources, and their attempts."""
        with self._store.read() as connection:
            seq = events.last_seq(connection)
            active, attempts = jobs.active(connection), jobs.open_attempts(connection)
            return seq, queue.waiting(connection), active, attempts

    def changes(self, seq: int) -> Changes:
        """Return what happened since event `seq`: new number, deleted IDs, jobs, attempts."""
        with self._store.read() as connection:
            newest, ids = events.changed_jobs(connection, seq)
            changed = _jobs(connection, ids)
            current = jobs.newest_attempts(
                connection,
                [job.id for job in changed if not job.state.is_final and job.attempts],
            )
        return newest, ids - {job.job_id for job in changed}, changed, current

    def held_since(self, since: float) -> list[Stay]:
        """Return what users held in attempts that ended after `since` (seconds since the epoch)."""
        with self._store.read() as connection:
            return [
                Stay(
                    user,
                    demand_of(Resources(cpus, memory, gpus)).times(Wish.from_text(wish).nodes),
                    began,
                    ended,
                )
                for user, cpus, memory, gpus, wish, began, ended in limits.held_since(
                    connection, since
                )
            ]


def _jobs(connection: Connection, ids: set[str]) -> list[JobRecord]:
    if len(ids) == 1:
        # By far the most frequent case, and the cheaper query.
        job = jobs.find(connection, next(iter(ids)))
        return [job] if job is not None else []
    return jobs.with_ids(connection, ids) if ids else []
