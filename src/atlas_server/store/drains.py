"""Rows of nodes that are drained, and who is on nodes."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from atlas_server.domain.drains import Drain
from atlas_server.domain.resources import Allocation
from atlas_server.store.node_tables import drained_nodes
from atlas_server.store.tables import attempts, jobs
from atlas_server.store.upserts import replacing

_put = replacing(drained_nodes, ["name"])


def everything(connection: Connection) -> dict[str, Drain]:
    """Return all of them by the names of their nodes."""
    return {
        row.name: Drain(row.by, row.reason, row.since)
        for row in connection.execute(select(drained_nodes))
    }


def put(connection: Connection, name: str, drain: Drain) -> None:
    """Drain a node; one that was drained before is so for another reason now."""
    row = {"name": name, "by": drain.by, "reason": drain.reason, "since": drain.since}
    connection.execute(_put.on(connection), row)


def remove(connection: Connection, name: str) -> bool:
    """Let a node take jobs again; False where it was not drained."""
    gone = delete(drained_nodes).where(drained_nodes.c.name == name)
    return bool(connection.execute(gone).rowcount)


def occupied(connection: Connection, name: str) -> list[str]:
    """Return the jobs that have something of a node."""
    running = select(jobs.c.job_id, attempts.c.allocation).join_from(
        attempts, jobs, attempts.c.job == jobs.c.id
    )
    return [
        job_id
        for job_id, held in connection.execute(running.where(attempts.c.ended_at.is_(None)))
        if any(part.node == name for part in Allocation.from_json(held).parts())
    ]
