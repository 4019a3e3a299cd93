"""Rows of projects."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from atlas_server.store.tables import jobs, projects
from foundations.errors import NotFound


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


def find(connection: Connection, name: str) -> int:
    """Return the row key of a project. Raises NotFound."""
    key = connection.execute(_BY_NAME, {"wanted": name}).scalar()
    if key is None:
        known = connection.execute(select(projects.c.name)).scalars()
        near = get_close_matches(name, list(known), 1)
        hint = f"Did you mean '{near[0]}'?" if near else "See them with: foundations projects"
        raise NotFound(f"There is no project '{name}'.", hint)
    return int(key)


def count_jobs(connection: Connection, name: str | None) -> int:
    """Return how many jobs a project has, or all projects have."""
    query = select(func.count()).select_from(jobs)
    if name is not None:
        query = query.where(jobs.c.project_id == find(connection, name))
    return connection.execute(query).scalar_one()


def goals(connection: Connection) -> dict[str, dict[str, str]]:
    """Return of each project that has any which of its metrics are best low or high."""
    return {name: said for name, said in connection.execute(_GOALS) if said}


_GOALS = select(projects.c.name, projects.c.goals).where(projects.c.goals.is_not(None))
_BY_NAME = select(projects.c.id).where(projects.c.name == bindparam("wanted"))
