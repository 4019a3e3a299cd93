"""Rows of jobs and attempts. State changes go through `services.jobs`, which checks them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
)
from sqlalchemy import update as sql_update

from atlas_server.domain.records import AttemptRecord, JobFilter, JobRecord
from atlas_server.store.engine import parts
from atlas_server.store.tables import attempts, jobs, projects, tags
from foundations.contract.spec import Resources
from foundations.contract.states import FINAL_STATES, JobKind, JobState, StateReason

_ACTIVE = (JobState.STARTING.value, JobState.RUNNING.value, JobState.STOPPING.value)


def insert_job(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a row of `jobs` and return its key."""
    key = connection.execute(_INSERT, values).inserted_primary_key
    assert key is not None
    return int(key[0])


def insert_jobs(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows of `jobs`."""
    connection.execute(_INSERT, rows)


def keys_of(connection: Connection, job_ids: Sequence[str]) -> dict[str, int]:
    """Return the row keys of the jobs with these IDs, by ID."""
    query = select(jobs.c.job_id, jobs.c.id)
    return {
        job_id: key
        for part in parts(job_ids)
        for job_id, key in connection.execute(query.where(jobs.c.job_id.in_(part)))
    }


def find(connection: Connection, job_id: str) -> JobRecord | None:
    """Return the job with exactly this ID."""
    row = connection.execute(_BY_ID, {"wanted": job_id}).mappings().first()
    return _job(row) if row else None


def by_keys(connection: Connection, keys: Sequence[int]) -> list[JobRecord]:
    """Return the jobs with these row keys, in this order, without their environments."""
    rows = connection.execute(_select(lean=True).where(jobs.c.id.in_(keys))).mappings()
    found = {row["id"]: _job(row) for row in rows}
    return [found[key] for key in keys if key in found]


def ids_with_prefix(connection: Connection, prefix: str, limit: int) -> list[str]:
    """Return up to `limit` job IDs that start with `prefix` (letters, digits and dashes)."""
    upper = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    query = select(jobs.c.job_id).where(jobs.c.job_id >= prefix, jobs.c.job_id < upper)
    return list(connection.execute(query.limit(limit)).scalars())


def newest_id(connection: Connection, back: int = 0) -> str | None:
    """Return the ID of the job submitted last, or of the one `back` places before it."""
    query = select(jobs.c.job_id).order_by(jobs.c.id.desc()).offset(back).limit(1)
    return connection.execute(query).scalar()


def listing(connection: Connection, condition: JobFilter, limit: int | None) -> list[JobRecord]:
    """Return the newest jobs that fit, newest first; all of them without a limit."""
    query = _where(_select(lean=True), condition)
    if condition.before is not None:
        query = query.where(jobs.c.id < condition.before)
    rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit)).mappings()
    return [_job(row) for row in rows]


def active(connection: Connection) -> list[JobRecord]:
    """Return every job that holds resources, in order of arrival."""
    query = _select().where(jobs.c.state.in_(_ACTIVE)).order_by(jobs.c.id)
    return [_job(row) for row in connection.execute(query).mappings()]


def with_ids(connection: Connection, job_ids: Iterable[str]) -> list[JobRecord]:
    """Return the jobs with these IDs; IDs that do not exist are left out."""
    found: list[JobRecord] = []
    for part in parts(list(job_ids)):
        query = _select().where(jobs.c.job_id.in_(part))
        found.extend(_job(row) for row in connection.execute(query).mappings())
    return found


def ids_of(connection: Connection, keys: Sequence[int]) -> list[str]:
    """Return the IDs of the jobs with these row keys, in this order."""
    found: dict[int, str] = {}
    for part in parts(keys):
        query = select(jobs.c.id, jobs.c.job_id).where(jobs.c.id.in_(part))
        found.update((key, job_id) for key, job_id in connection.execute(query))
    return [found[key] for key in keys if key in found]


def projects_of(connection: Connection, job_ids: Iterable[str]) -> dict[str, str]:
    """Return the project of each of these jobs that exists."""
    query = select(jobs.c.job_id, projects.c.name).join_from(
        jobs, projects, jobs.c.project_id == projects.c.id
    )
    found = connection.execute(query.where(jobs.c.job_id.in_(list(job_ids))))
    return {job_id: name for job_id, name in found}


def move(connection: Connection, job: JobRecord, state: JobState, values: dict[str, Any]) -> bool:
    """Set the state of a job that still has the one in `job`; False if another was quicker."""
    values = {**values, "state": state.value, "wanted": job.id, "found": job.state.value}
    return connection.execute(_MOVE, values).rowcount == 1


def move_all(
    connection: Connection, condition: JobFilter, state: JobState, values: dict[str, Any]
) -> list[str]:
    """Set the state of every job that fits; return their IDs."""
    fitting = _where(select(jobs.c.id).join_from(jobs, projects), condition)
    query = sql_update(jobs).where(jobs.c.id.in_(fitting)).values(state=state.value, **values)
    return list(connection.execute(query.returning(jobs.c.job_id)).scalars())


def set_values(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Change columns other than the state of the job with row key `key`."""
    connection.execute(_SET_VALUES, {**values, "wanted": key})


def remove(connection: Connection, keys: Sequence[int]) -> None:
    """Delete jobs and everything that refers to them."""
    connection.execute(delete(jobs).where(jobs.c.id.in_(keys)))


def of_project(connection: Connection, project: str, limit: int) -> list[JobRecord]:
    """Return some of a project's jobs, without their environments."""
    query = _select(lean=True).where(projects.c.name == project).limit(limit)
    return [_job(row) for row in connection.execute(query).mappings()]


def unfinished_of(connection: Connection, project: str) -> int:
    """Return how many jobs of a project are not over."""
    over = [state.value for state in FINAL_STATES]
    query = select(func.count()).join_from(jobs, projects, jobs.c.project_id == projects.c.id)
    query = query.where(projects.c.name == project, jobs.c.state.not_in(over))
    return connection.execute(query).scalar_one()


def other_user_in(connection: Connection, project: str, user: str) -> str | None:
    """Return a user who has jobs in a project and is not `user`."""
    query = select(jobs.c.user).join_from(jobs, projects, jobs.c.project_id == projects.c.id)
    query = query.where(projects.c.name == project, jobs.c.user != user).limit(1)
    return connection.execute(query).scalar()


def oldest_unfinished(connection: Connection) -> float | None:
    """Return when the oldest attempt that is not over began; None where there is none."""
    return connection.execute(_OLDEST_UNFINISHED).scalar()


def manifests_in_use(connection: Connection) -> set[str]:
    """Return the digests of every manifest that a job's code or outputs refer to."""
    found = set(connection.execute(select(jobs.c.bundle).distinct()).scalars())
    outputs = select(jobs.c.outputs).where(jobs.c.outputs.is_not(None)).distinct()
    return found | {digest for digest in connection.execute(outputs).scalars() if digest}


def counts_by_state(connection: Connection) -> dict[str, int]:
    """Return how many jobs are in each state."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return {state: count for state, count in connection.execute(query)}


def secrets(connection: Connection, key: int) -> dict[str, str]:
    """Return the environment values that are for the worker alone."""
    return dict(connection.execute(_SECRETS, {"wanted": key}).scalar() or {})


def insert_attempt(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a row of `attempts` and return its key."""
    key = connection.execute(_INSERT_ATTEMPT, values).inserted_primary_key
    assert key is not None
    return int(key[0])


def find_attempt(connection: Connection, attempt_id: int) -> AttemptRecord | None:
    """Return the attempt with this row key."""
    row = connection.execute(_ATTEMPT_BY_KEY, {"wanted": attempt_id}).mappings().first()
    return AttemptRecord(**row) if row else None


def attempt_by_token(connection: Connection, token: str) -> AttemptRecord | None:
    """Return the attempt whose runner has this token."""
    query = _select_attempts().where(attempts.c.token == token)
    row = connection.execute(query).mappings().first()
    return AttemptRecord(**row) if row else None


def attempts_of(connection: Connection, key: int) -> list[AttemptRecord]:
    """Return the attempts of a job, first one first."""
    rows = connection.execute(_ATTEMPTS_OF, {"wanted": key}).mappings()
    return [AttemptRecord(**row) for row in rows]


def newest_attempts(connection: Connection, keys: Sequence[int]) -> list[AttemptRecord]:
    """Return the newest attempts of the jobs with these row keys."""
    if len(keys) == 1:
        # By far the most frequent case, and the cheaper query.
        return attempts_of(connection, keys[0])[-1:]
    found: list[AttemptRecord] = []
    for part in parts(keys):
        query = _select_attempts().where(
            attempts.c.job.in_(part), attempts.c.number == jobs.c.attempts
        )
        found.extend(AttemptRecord(**row) for row in connection.execute(query).mappings())
    return found


def open_attempts(connection: Connection) -> list[AttemptRecord]:
    """Return the current attempt of every job that holds resources."""
    query = _select_attempts().where(
        jobs.c.state.in_(_ACTIVE), attempts.c.number == jobs.c.attempts
    )
    return [AttemptRecord(**row) for row in connection.execute(query).mappings()]


def forget_handles(connection: Connection) -> None:
    """Have nobody look for the processes of attempts: they are another server's."""
    connection.execute(
        sql_update(attempts).where(attempts.c.ended_at.is_(None)).values(handle=None)
    )


def count(connection: Connection) -> int:
    """Return how many jobs there are."""
    return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def error_of(connection: Connection, attempt_id: int) -> dict[str, Any] | None:
    """Return the exception that ended an attempt's program, where it has told."""
    return connection.execute(_ERROR_OF, {"wanted": attempt_id}).scalar()


def update_attempt(connection: Connection, attempt_id: int, values: dict[str, Any]) -> None:
    """Change columns of one attempt."""
    connection.execute(_SET_ATTEMPT, {**values, "wanted": attempt_id})


def _select(*, lean: bool = False) -> Select[Any]:
    # Environments list hundreds of packages, which no table shows.
    hidden = ("project_id", "secrets", "environment") if lean else ("project_id", "secrets")
    columns = [column for column in jobs.c if column.name not in hidden]
    query = select(*columns, projects.c.name.label("project"))
    return query.join_from(jobs, projects, jobs.c.project_id == projects.c.id)


def _select_attempts() -> Select[Any]:
    return select(*attempts.c, jobs.c.job_id).join_from(attempts, jobs, attempts.c.job == jobs.c.id)


def _where(query: Select[Any], condition: JobFilter) -> Select[Any]:
    if condition.project is not None:
        query = query.where(projects.c.name == condition.project)
    if condition.user is not None:
        query = query.where(jobs.c.user == condition.user)
    if condition.states:
        query = query.where(jobs.c.state.in_([state.value for state in condition.states]))
    if condition.kind is not None:
        query = query.where(jobs.c.kind == condition.kind.value)
    for key, value in condition.tags:
        has_tag = and_(tags.c.job == jobs.c.id, tags.c.key == key)
        if value is not None:
            has_tag = and_(has_tag, tags.c.value == value)
        query = query.where(exists().where(has_tag))
    return query


def _job(row: RowMapping) -> JobRecord:
    values = dict(row)
    resources = Resources(values.pop("cpus"), values.pop("memory"), values.pop("gpus"))
    values["state"] = JobState(values["state"])
    values["reason"] = StateReason(values["reason"]) if values["reason"] else None
    values["kind"] = JobKind(values["kind"])
    return JobRecord(resources=resources, **values)


# Built once: composing a statement costs several times as much as executing it.
_WANTED = bindparam("wanted")
_INSERT = insert(jobs)
_INSERT_ATTEMPT = insert(attempts)
_BY_ID = _select().where(jobs.c.job_id == _WANTED)
_SECRETS = select(jobs.c.secrets).where(jobs.c.id == _WANTED)
_ATTEMPT_BY_KEY = _select_attempts().where(attempts.c.id == _WANTED)
_ATTEMPTS_OF = _select_attempts().where(attempts.c.job == _WANTED).order_by(attempts.c.number)
_ERROR_OF = select(attempts.c.error).where(attempts.c.id == _WANTED)
_OLDEST_UNFINISHED = (
    select(func.min(attempts.c.created_at))
    .join_from(jobs, attempts, attempts.c.job == jobs.c.id)
    .where(jobs.c.state.in_(_ACTIVE), attempts.c.ended_at.is_(None))
)
_MOVE = sql_update(jobs).where(jobs.c.id == _WANTED, jobs.c.state == bindparam("found"))
_SET_VALUES = sql_update(jobs).where(jobs.c.id == _WANTED)
_SET_ATTEMPT = sql_update(attempts).where(attempts.c.id == _WANTED)
