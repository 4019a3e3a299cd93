"""What the scheduler reads: all unfinished jobs once, then only what has changed."""

from __future__ import annotations

from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.store import events, jobs
from atlas_server.store.engine import Store

Changes = tuple[int, set[str], list[JobRecord], list[AttemptRecord]]


class Snapshots:
    """Consistent reads of the queue."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def unfinished(self) -> tuple[int, list[JobRecord], list[AttemptRecord]]:
        """Return the newest event's number, every unfinished job, and their current attempts."""
        with self._store.read() as connection:
            seq = events.last_seq(connection)
            return seq, jobs.unfinished(connection), jobs.open_attempts(connection)

    def changes(self, seq: int) -> Changes:
        """Return what happened since event `seq`: new number, deleted IDs, jobs, attempts."""
        with self._store.read() as connection:
            news = events.after(connection, seq)
            ids = {event.job_id for event in news if event.job_id}
            changed = jobs.with_ids(connection, ids) if ids else []
            current = [
                attempt
                for job in changed
                if not job.state.is_final and job.attempts
                for attempt in jobs.attempts_of(connection, job.id)[-1:]
            ]
        newest = news[-1].seq if news else seq
        return newest, ids - {job.job_id for job in changed}, changed, current
