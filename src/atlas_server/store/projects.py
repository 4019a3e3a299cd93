"""Rows of projects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from atlas_server.store.tables import jobs, projects


def ensure(connection: Connection, name: str, now: float) -> int:
    """Return the row key of the project, made now if it is new."""
    key = connection.execute(_BY_NAME, {"wanted": name}).scalar()
    if key is None:
        made = connection.execute(insert(projects).values(name=name, created_at=now))
        assert made.inserted_primary_key is not None
        key = made.inserted_primary_key[0]
    return int(key)


def exists(connection: Connection, name: str) -> bool:
    """Tell whether there is such a project."""
    return connection.execute(_BY_NAME, {"wanted": name}).scalar() is not None


def listing(connection: Connection) -> list[dict[str, Any]]:
    """Return every project with the number of its jobs in each state and its newest job's time."""
    query = (
        select(
            projects.c.name,
            projects.c.created_at,
            jobs.c.state,
            func.count(jobs.c.id),
            func.max(jobs.c.submitted_at),
        )
        .join_from(projects, jobs, projects.c.id == jobs.c.project_id, isouter=True)
        .group_by(projects.c.id, jobs.c.state)
        .order_by(projects.c.name)
    )
    found: dict[str, dict[str, Any]] = {}
    for name, created_at, state, count, newest in connection.execute(query):
        project = found.setdefault(
            name, {"name": name, "created_at": created_at, "jobs": {}, "last_submitted_at": None}
        )
        if state is not None:
            project["jobs"][state] = count
            project["last_submitted_at"] = max(newest, project["last_submitted_at"] or 0)
    return list(found.values())


_BY_NAME = select(projects.c.id).where(projects.c.name == bindparam("wanted"))
