"""Rows of the event log: what changed, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

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
    connection.execute(insert(events).values(time=time, kind=kind, job_id=job_id, payload=payload))


def after(connection: Connection, seq: int, limit: int = 1000) -> list[EventRecord]:
    """Return up to `limit` events that follow `seq`, oldest first."""
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    return [EventRecord(**row) for row in connection.execute(query).mappings()]


def of_job(connection: Connection, job_id: str) -> list[EventRecord]:
    """Return the history of one job, oldest first."""
    query = select(events).where(events.c.job_id == job_id).order_by(events.c.seq)
    return [EventRecord(**row) for row in connection.execute(query).mappings()]


def last_seq(connection: Connection) -> int:
    """Return the sequence number of the newest event, 0 when there is none."""
    return connection.execute(select(func.max(events.c.seq))).scalar() or 0
