"""Rows of the event log: what changed, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from atlas_server.store.tables import events


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One change. `seq` grows with every event of the database; `time` is in seconds."""

    seq: int
    time: float
    kind: str
    job_id: str | None
    payload: dict[str, Any]


def append(
    connection: Connection, time: float, kind: str, job_id: str | None, payload: dict[str, Any]
) -> None:
    """Add one event to the transaction that makes the change."""
    _check(connection)
    values = {"time": time, "kind": kind, "job_id": job_id, "payload": payload}
    connection.execute(_INSERT, values)


def append_all(
    connection: Connection, time: float, kind: str, job_ids: Sequence[str], payload: dict[str, Any]
) -> None:
    """Add the same event for many jobs."""
    _check(connection)
    rows = [
        {"time": time, "kind": kind, "job_id": job_id, "payload": payload} for job_id in job_ids
    ]
    if rows:
        connection.execute(_INSERT, rows)


def changed_jobs(connection: Connection, seq: int) -> tuple[int, set[str]]:
    """Return the newest event's number and the IDs of the jobs that changed after event `seq`.

    At most 1000 events are looked at.
    """
    rows = connection.execute(_CHANGED, {"after": seq}).all()
    return (rows[-1][0] if rows else seq), {job_id for _, job_id in rows if job_id}


def since(connection: Connection, seq: int, limit: int) -> list[EventRecord]:
    """Return the events after event `seq`, `limit` of them at most, oldest first."""
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    return [EventRecord(**row) for row in connection.execute(query).mappings()]


def of_job(connection: Connection, job_id: str) -> list[EventRecord]:
    """Return the history of one job, oldest first."""
    query = select(events).where(events.c.job_id == job_id).order_by(events.c.seq)
    return [EventRecord(**row) for row in connection.execute(query).mappings()]


def last_seq(connection: Connection) -> int:
    """Return the sequence number of the newest event, 0 when there is none."""
    return connection.execute(select(func.max(events.c.seq))).scalar() or 0


def _check(connection: Connection) -> None:
    # Numbers of events are committed in their order by those alone who write alone.
    assert connection.get_execution_options().get("atlas_attempt") is None


# Built once: composing a statement costs several times as much as executing it.
_INSERT = insert(events)
_CHANGED = (
    select(events.c.seq, events.c.job_id)
    .where(events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(1000)
)
