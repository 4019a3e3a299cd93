"""Rows of limits, and what users and projects have that counts against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    delete,
    func,
    insert,
    select,
    update,
)

from atlas_server.domain.limits import USER, Scope
from atlas_server.store.engine import parts
from atlas_server.store.limit_tables import limits, manifest_sizes
from atlas_server.store.retention_tables import file_sizes
from atlas_server.store.tables import artifacts, attempts, jobs, projects
from foundations.contract.states import FINAL_STATES, JobKind, JobState

_OVER = tuple(state.value for state in FINAL_STATES)


def everything(connection: Connection) -> dict[Scope, dict[str, float]]:
    """Return the limits of everybody who has some."""
    rows = connection.execute(select(limits.c.kind, limits.c.name, limits.c.limits))
    return {Scope(kind, name): dict(given) for kind, name, given in rows}


def put(connection: Connection, scope: Scope, given: Mapping[str, float]) -> None:
    """Give a user or project these limits and no others; none at all: forget it."""
    here = (limits.c.kind == scope.kind, limits.c.name == scope.name)
    if not given:
        connection.execute(delete(limits).where(*here))
    elif not connection.execute(update(limits).where(*here).values(limits=dict(given))).rowcount:
        row = {"kind": scope.kind, "name": scope.name, "limits": dict(given)}
        connection.execute(insert(limits), row)


def waiting(connection: Connection, scope: Scope, most: int) -> int:
    """Return how many jobs of a user or project wait; more than `most` are not counted."""
    query = select(jobs.c.id).where(jobs.c.state == JobState.QUEUED.value, _of(scope))
    return connection.execute(
        select(func.count()).select_from(query.limit(most).subquery())
    ).scalar_one()


def waiting_by_scope(connection: Connection) -> dict[Scope, int]:
    """Return how many jobs of each user and each project wait."""
    queued = jobs.c.state == JobState.QUEUED.value
    users = select(jobs.c.user, func.count()).where(queued).group_by(jobs.c.user)
    found = {Scope(USER, name): count for name, count in connection.execute(users)}
    named = select(projects.c.name, func.count()).join_from(
        jobs, projects, jobs.c.project_id == projects.c.id
    )
    for name, count in connection.execute(named.where(queued).group_by(projects.c.name)):
        found[Scope("project", name)] = count
    return found


def unsized(connection: Connection, scope: Scope) -> list[str]:
    """Return the manifests of a user's or project's jobs whose sizes are not known yet."""
    used = _manifests(scope).subquery()
    query = select(used.c.digest).outerjoin(
        manifest_sizes, manifest_sizes.c.digest == used.c.digest
    )
    return list(connection.execute(query.where(manifest_sizes.c.digest.is_(None))).scalars())


def add_sizes(connection: Connection, sizes: Mapping[str, int]) -> None:
    """Note what manifests come to, in bytes."""
    known: set[str] = set()
    for part in parts(list(sizes)):
        query = select(manifest_sizes.c.digest).where(manifest_sizes.c.digest.in_(part))
        known |= set(connection.execute(query).scalars())
    new = [
        {"digest": digest, "size": size} for digest, size in sizes.items() if digest not in known
    ]
    if new:
        connection.execute(insert(manifest_sizes), new)


def unmeasured(connection: Connection, scope: Scope) -> dict[int, str]:
    """Return the IDs, by key, of jobs that are over and whose files were not measured yet."""
    query = select(jobs.c.id, jobs.c.job_id).outerjoin(file_sizes, file_sizes.c.job == jobs.c.id)
    query = query.where(_of(scope), jobs.c.state.in_(_OVER), file_sizes.c.job.is_(None))
    return {key: job_id for key, job_id in connection.execute(query)}


def unfinished(connection: Connection, scope: Scope) -> list[str]:
    """Return the IDs of a user's or project's jobs whose files may grow."""
    query = select(jobs.c.job_id).where(_of(scope), jobs.c.state.not_in(_OVER), jobs.c.attempts > 0)
    return list(connection.execute(query).scalars())


def add_file_sizes(connection: Connection, sizes: Mapping[int, int]) -> None:
    """Note what files of jobs come to, in bytes, by the jobs' keys; some may be noted or gone."""
    for part in parts(list(sizes)):
        known = select(file_sizes.c.job).where(file_sizes.c.job.in_(part))
        there = select(jobs.c.id).where(jobs.c.id.in_(part), jobs.c.id.not_in(known))
        new = [{"job": key, "size": sizes[key]} for key in connection.execute(there).scalars()]
        if new:
            connection.execute(insert(file_sizes), new)


def stored(connection: Connection, scope: Scope) -> int:
    """Return the bytes of a user's or project's code, results and artifacts, the same ones once.

    And of what was measured of files.
    """
    used = _manifests(scope).subquery()
    query = select(func.sum(manifest_sizes.c.size)).join_from(
        used, manifest_sizes, manifest_sizes.c.digest == used.c.digest
    )
    saved = (
        select(artifacts.c.digest, artifacts.c.size)
        .join_from(artifacts, jobs, artifacts.c.job == jobs.c.id)
        .where(_of(scope))
        .distinct()
        .subquery()
    )
    kept = select(func.sum(saved.c.size))
    files = select(func.sum(file_sizes.c.size)).join_from(
        file_sizes, jobs, file_sizes.c.job == jobs.c.id
    )
    sums = (query, kept, files.where(_of(scope)))
    return sum(int(connection.execute(each).scalar() or 0) for each in sums)


def held_since(connection: Connection, since: float) -> Iterable[Any]:
    """Yield (user, cpus, memory, gpus, wish, began, ended) of attempts that ended after `since`."""
    query = (
        select(
            jobs.c.user,
            jobs.c.cpus,
            jobs.c.memory,
            jobs.c.gpus,
            jobs.c.wish,
            func.coalesce(attempts.c.started_at, attempts.c.created_at),
            attempts.c.ended_at,
        )
        .join_from(attempts, jobs, attempts.c.job == jobs.c.id)
        .where(attempts.c.ended_at > since, jobs.c.kind == JobKind.SCHEDULED.value)
    )
    return connection.execute(query)


def _of(scope: Scope) -> ColumnElement[bool]:
    if scope.kind == USER:
        return jobs.c.user == scope.name
    named = select(projects.c.id).where(projects.c.name == scope.name).scalar_subquery()
    return jobs.c.project_id == named


def _manifests(scope: Scope) -> CompoundSelect[Any]:
    code = select(jobs.c.bundle.label("digest")).where(_of(scope))
    made = select(jobs.c.outputs.label("digest")).where(_of(scope), jobs.c.outputs.is_not(None))
    return code.union(made)
