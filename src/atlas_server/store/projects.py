"""Rows of projects and of the notes on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from atlas_server.store.tables import (
    jobs,
    latest_metrics,
    metric_keys,
    project_notes,
    projects,
)
from foundations.errors import NotFound


@dataclass(slots=True)
class ProjectRecord:
    """A project, and how many jobs it has in each state; times are seconds since the epoch."""

    id: int
    name: str
    created_at: float
    archived_at: float | None
    description: str | None
    metric: str | None
    goals: dict[str, Any] | None
    jobs: dict[str, int] = field(default_factory=dict)
    last_submitted_at: float | None = None
    last_active_at: float | None = None


def ensure(connection: Connection, name: str, now: float) -> int:
    """Return the row key of the project, made now if it is new; an archived one comes back."""
    found = connection.execute(_BY_NAME, {"wanted": name}).first()
    if found is None:
        made = connection.execute(insert(projects).values(name=name, created_at=now))
        assert made.inserted_primary_key is not None
        return int(made.inserted_primary_key[0])
    if found.archived_at is not None:
        set_values(connection, found.id, {"archived_at": None})
    return int(found.id)


def find(connection: Connection, name: str) -> int:
    """Return the row key of a project. Raises NotFound."""
    key = connection.execute(_BY_NAME, {"wanted": name}).scalar()
    if key is None:
        known = connection.execute(select(projects.c.name)).scalars()
        near = get_close_matches(name, list(known), 1)
        hint = f"Did you mean '{near[0]}'?" if near else "See them with: foundations projects"
        raise NotFound(f"There is no project '{name}'.", hint)
    return int(key)


def is_there(connection: Connection, name: str) -> bool:
    """Tell whether there is a project of this name."""
    return connection.execute(_BY_NAME, {"wanted": name}).first() is not None


def listing(
    connection: Connection, *, archived: bool | None = None, name: str | None = None
) -> list[ProjectRecord]:
    """Return projects with the number of their jobs in each state, by name.

    Those that are archived, those that are not, or all (None); or the one of a name.
    """
    counted = (
        select(
            jobs.c.project_id,
            jobs.c.state,
            func.count().label("number"),
            func.max(jobs.c.submitted_at).label("submitted"),
            func.max(jobs.c.started_at).label("started"),
            func.max(jobs.c.finished_at).label("finished"),
        )
        .group_by(jobs.c.project_id, jobs.c.state)
        .subquery()
    )
    query = select(projects, counted).join_from(
        projects, counted, projects.c.id == counted.c.project_id, isouter=True
    )
    if archived is not None:
        known = projects.c.archived_at
        query = query.where(known.is_not(None) if archived else known.is_(None))
    if name is not None:
        query = query.where(projects.c.name == name)
    columns = [column.name for column in projects.c]
    found: dict[int, ProjectRecord] = {}
    rows: Any = connection.execute(query.order_by(projects.c.name)).all()
    for row in rows:
        own, counts = row[: len(columns)], row[len(columns) + 1 :]
        record = found.setdefault(row[0], ProjectRecord(**dict(zip(columns, own, strict=True))))
        _count(record, *counts)
    return list(found.values())


def _count(
    record: ProjectRecord,
    state: str | None,
    number: int,
    submitted: float | None,
    started: float | None,
    finished: float | None,
) -> None:
    if state is not None:
        record.jobs[state] = number
        record.last_submitted_at = _latest(record.last_submitted_at, submitted)
        record.last_active_at = _latest(record.last_active_at, submitted, started, finished)


def _latest(*moments: float | None) -> float | None:
    return max((moment for moment in moments if moment is not None), default=None)


def count_jobs(connection: Connection, name: str | None) -> int:
    """Return how many jobs a project has, or all projects have."""
    query = select(func.count()).select_from(jobs)
    if name is not None:
        query = query.where(jobs.c.project_id == find(connection, name))
    return connection.execute(query).scalar_one()


def goals(connection: Connection) -> dict[str, dict[str, str]]:
    """Return of each project that has any which of its metrics are best low or high."""
    return {name: said for name, said in connection.execute(_GOALS) if said}


def best(connection: Connection, key: int, metric: str, goal: str) -> tuple[float, str] | None:
    """Return the best value of a metric in the project of this key, and the job that has it."""
    low = goal == "min"
    value = latest_metrics.c.lowest if low else latest_metrics.c.highest
    query = (
        select(value, jobs.c.job_id)
        .join_from(jobs, latest_metrics, latest_metrics.c.job == jobs.c.id)
        .join(metric_keys, metric_keys.c.id == latest_metrics.c.key)
        .where(jobs.c.project_id == key, metric_keys.c.name == metric, value.is_not(None))
        .order_by(value.asc() if low else value.desc(), jobs.c.id)
        .limit(1)
    )
    found = connection.execute(query).first()
    return None if found is None else (found[0], found[1])


def set_values(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Change columns of the project with this row key."""
    connection.execute(update(projects).where(projects.c.id == key).values(**values))


def remove(connection: Connection, name: str) -> bool:
    """Delete a project that has no jobs; False where it has some."""
    own = exists().where(jobs.c.project_id == projects.c.id)
    query = delete(projects).where(projects.c.name == name, ~own)
    return connection.execute(query).rowcount == 1


def notes_of(connection: Connection, key: int) -> list[dict[str, Any]]:
    """Return the notes on a project, the newest first."""
    query = select(*_NOTE).where(project_notes.c.project_id == key)
    rows = connection.execute(query.order_by(project_notes.c.id.desc())).mappings()
    return [dict(row) for row in rows]


def find_note(connection: Connection, key: int, note: int) -> dict[str, Any]:
    """Return a note on a project. Raises NotFound."""
    query = select(*_NOTE).where(project_notes.c.project_id == key, project_notes.c.id == note)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no note {note} on this project.")
    return dict(row)


def add_note(connection: Connection, key: int, author: str, body: str, now: float) -> int:
    """Add a note and return its number."""
    made = connection.execute(
        insert(project_notes).values(project_id=key, author=author, body=body, created_at=now)
    )
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def set_note(connection: Connection, note: int, body: str, now: float) -> None:
    """Change what a note says."""
    changed = update(project_notes).where(project_notes.c.id == note)
    connection.execute(changed.values(body=body, edited_at=now))


def remove_note(connection: Connection, note: int) -> None:
    """Delete a note."""
    connection.execute(delete(project_notes).where(project_notes.c.id == note))


_GOALS = select(projects.c.name, projects.c.goals).where(projects.c.goals.is_not(None))
_BY_NAME = select(projects.c.id, projects.c.archived_at).where(
    projects.c.name == bindparam("wanted")
)
_NOTE = (
    project_notes.c.id,
    project_notes.c.author,
    project_notes.c.body,
    project_notes.c.created_at,
    project_notes.c.edited_at,
)
