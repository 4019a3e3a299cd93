"""Which parameters, metrics and tags the jobs of a project have, counted as they come and go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, null, select, update

from atlas_server.store.tables import (
    jobs,
    latest_metrics,
    metric_keys,
    params,
    project_columns,
    projects,
    tags,
)
from atlas_server.store.upserts import adding

PARAM, METRIC, TAG = "param", "metric", "tag"


class Change(NamedTuple):
    """How many more (or fewer) jobs have a column, have a number in it, have a text in it."""

    name: str
    jobs: int
    numbers: int
    texts: int


class Counted(NamedTuple):
    """A column of a project and how many of its jobs have it: at all, as a number, as a text."""

    kind: str
    name: str
    jobs: int
    numbers: int
    texts: int


def count(connection: Connection, job: int, kind: str, changes: Iterable[Change]) -> None:
    """Note changes of what one job has."""
    # In one order: others may count for the same project at the same time.
    told = sorted(change for change in changes if any(change[1:]))
    if not told:
        return
    project = connection.execute(_PROJECT_OF, {"wanted": job}).scalar_one()
    place = {"project_id": project, "kind": kind}
    connection.execute(_COUNT.on(connection), [{**place, **change._asdict()} for change in told])


def forget(connection: Connection, keys: Sequence[int]) -> None:
    """Take everything that these jobs (row keys) have out of the counts; before they are removed.

    At most some hundred at once.
    """
    if not keys:
        return
    for counted in _held_by(connection, keys):
        negative = {name: -counted[name] for name in ("jobs", "numbers", "texts")}
        connection.execute(_COUNT.on(connection), {**counted, **negative})
    connection.execute(_DROP_EMPTY)


def move(connection: Connection, job: int, project: int) -> None:
    """Put a job (row key) into another project, with the counts of what it has."""
    forget(connection, [job])
    connection.execute(_MOVE, {"wanted": job, "project": project})
    counted = _held_by(connection, [job])
    if counted:
        connection.execute(_COUNT.on(connection), counted)


def of_project(connection: Connection, project: str | None) -> list[Counted]:
    """Return the columns of a project, of all projects where it is None, by kind and name."""
    query = (
        select(
            project_columns.c.kind,
            project_columns.c.name,
            func.sum(project_columns.c.jobs),
            func.sum(project_columns.c.numbers),
            func.sum(project_columns.c.texts),
        )
        .where(project_columns.c.jobs > 0)
        .group_by(project_columns.c.kind, project_columns.c.name)
        .order_by(project_columns.c.kind, project_columns.c.name)
    )
    if project is not None:
        known = select(projects.c.id).where(projects.c.name == project).scalar_subquery()
        query = query.where(project_columns.c.project_id == known)
    return [Counted(*row) for row in connection.execute(query)]


def _held_by(connection: Connection, keys: Sequence[int]) -> list[dict[str, Any]]:
    """What some jobs have, as rows of the counts."""
    names = ("project_id", "name", "jobs", "numbers", "texts")
    found: list[dict[str, Any]] = []
    for kind, query in _HELD.items():
        rows: Any = connection.execute(query, {"keys": list(keys)})
        found += [{"kind": kind, **dict(zip(names, row, strict=True))} for row in rows]
    return found


def _held(table: Any, name: Any, number: Any, text: Any, *joined: Any) -> Any:
    """How many of some jobs have each column of a kind."""
    query = select(
        jobs.c.project_id, name, func.count(), func.count(number), func.count(text)
    ).join_from(jobs, table, table.c.job == jobs.c.id)
    for other, condition in joined:
        query = query.join(other, condition)
    wanted = jobs.c.id.in_(bindparam("keys", expanding=True))
    return query.where(wanted).group_by(jobs.c.project_id, name)


# Built once: composing a statement costs several times as much as executing it.
_PROJECT_OF = select(jobs.c.project_id).where(jobs.c.id == bindparam("wanted"))
_COUNT = adding(project_columns, ["project_id", "kind", "name"], ["jobs", "numbers", "texts"])
_HELD = {
    PARAM: _held(params, params.c.key, params.c.number, params.c.text),
    TAG: _held(tags, tags.c.key, null(), tags.c.value),
    METRIC: _held(
        latest_metrics,
        metric_keys.c.name,
        latest_metrics.c.lowest,
        null(),
        (metric_keys, metric_keys.c.id == latest_metrics.c.key),
    ),
}
_MOVE = update(jobs).where(jobs.c.id == bindparam("wanted")).values(project_id=bindparam("project"))
_DROP_EMPTY = delete(project_columns).where(project_columns.c.jobs <= 0)
