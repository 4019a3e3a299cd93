"""Rows of searches and their trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, insert, select, update

from atlas_server.domain.search.ports import TrialState
from atlas_server.domain.search.records import SearchRecord, SearchState, TrialRecord
from atlas_server.store.engine import parts
from atlas_server.store.search_tables import searches, trials
from atlas_server.store.tables import jobs, metric_keys, metrics, projects

_GOING_ON = (SearchState.RUNNING.value, SearchState.STOPPING.value)


def add(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a search and return its key."""
    key = connection.execute(insert(searches), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def find(connection: Connection, name: str) -> SearchRecord | None:
    """Return the search of this name."""
    return _one(connection, _select().where(searches.c.name == name))


def by_id(connection: Connection, search_id: str) -> SearchRecord | None:
    """Return the search whose client gave it this ID."""
    return _one(connection, _select().where(searches.c.search_id == search_id))


def by_key(connection: Connection, key: int) -> SearchRecord | None:
    """Return the search with this row key."""
    return _one(connection, _BY_KEY.params(wanted=key))


def listing(connection: Connection, project: str | None, limit: int) -> list[SearchRecord]:
    """Return the newest searches, of one project or of all."""
    query = _select().order_by(searches.c.id.desc()).limit(limit)
    if project is not None:
        query = query.where(projects.c.name == project)
    return [_search(row) for row in connection.execute(query).mappings()]


def going_on(connection: Connection) -> list[SearchRecord]:
    """Return the searches that are not over, the oldest first."""
    query = _select().where(searches.c.state.in_(_GOING_ON)).order_by(searches.c.id)
    return [_search(row) for row in connection.execute(query).mappings()]


def names_like(connection: Connection, prefix: str) -> set[str]:
    """Return the names of searches that begin so."""
    query = select(searches.c.name).where(searches.c.name.startswith(prefix, autoescape=True))
    return set(connection.execute(query).scalars())


def set_values(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Change columns of a search."""
    connection.execute(update(searches).where(searches.c.id == key).values(**values))


def secrets(connection: Connection, key: int) -> dict[str, str]:
    """Return the environment values that are for workers alone."""
    found = connection.execute(select(searches.c.secrets).where(searches.c.id == key)).scalar()
    return dict(found or {})


def add_trial(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a trial."""
    connection.execute(_ADD_TRIAL, values)


def end_trials(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write down how open trials have ended: rows have every column of `_END` below."""
    connection.execute(_END, list(rows))


def trials_of(
    connection: Connection, key: int, after: int = -1, *, memos: bool = False
) -> list[TrialRecord]:
    """Return the trials of a search whose numbers are higher than `after`, in their order."""
    columns = [column for column in _TRIAL if memos or column.name not in _HIDDEN]
    query = select(*columns).where(trials.c.search == key, trials.c.number > after)
    rows = connection.execute(query.order_by(trials.c.number)).mappings()
    return [_trial(row) for row in rows]


def best_of(connection: Connection, key: int, goal: str) -> TrialRecord | None:
    """Return the completed trial with the lowest (min) or highest (max) score, the first one."""
    score = (trials.c.score.asc() if goal == "min" else trials.c.score.desc()).nulls_last()
    query = select(*_TRIAL).where(
        trials.c.search == key, trials.c.state == TrialState.COMPLETED.value
    )
    row = connection.execute(query.order_by(score, trials.c.number).limit(1)).mappings().first()
    return _trial(row) if row else None


def open_jobs(connection: Connection, key: int) -> dict[str, tuple[str, float | None]]:
    """Return (state, when it started) of the jobs of a search's open trials, by job ID."""
    query = (
        select(jobs.c.job_id, jobs.c.state, jobs.c.started_at)
        .join_from(trials, jobs, trials.c.job_id == jobs.c.job_id)
        .where(trials.c.search == key, trials.c.state == TrialState.OPEN.value)
    )
    return {job_id: (state, since) for job_id, state, since in connection.execute(query)}


def curves(
    connection: Connection, job_ids: Sequence[str], metric: str
) -> dict[str, list[tuple[int, float | None, float]]]:
    """Return the numbers (seq, step, value) that each of these jobs has logged of a metric."""
    found: dict[str, list[tuple[int, float | None, float]]] = {}
    for part in parts(job_ids):
        query = (
            select(jobs.c.job_id, metrics.c.seq, metrics.c.step, metrics.c.number)
            .join_from(jobs, metrics, metrics.c.job == jobs.c.id)
            .join(metric_keys, metrics.c.key == metric_keys.c.id)
            .where(
                jobs.c.job_id.in_(part),
                metric_keys.c.name == metric,
                metrics.c.number.is_not(None),
            )
            .order_by(metrics.c.job, metrics.c.seq)
        )
        for job_id, seq, step, number in connection.execute(query):
            found.setdefault(job_id, []).append((seq, step, number))
    return found


def counts(connection: Connection, keys: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return of each search how many of its trials are in each state; open ones by their jobs'."""
    found: dict[int, dict[str, int]] = {}
    for part in parts(keys):
        query = (
            select(trials.c.search, trials.c.state, func.count())
            .where(trials.c.search.in_(part), trials.c.state != TrialState.OPEN.value)
            .group_by(trials.c.search, trials.c.state)
        )
        of_jobs = (
            select(trials.c.search, jobs.c.state, func.count())
            .join_from(trials, jobs, trials.c.job_id == jobs.c.job_id)
            .where(trials.c.search.in_(part), trials.c.state == TrialState.OPEN.value)
            .group_by(trials.c.search, jobs.c.state)
        )
        for key, state, count in connection.execute(query):
            found.setdefault(key, {})[state] = count
        for key, state, count in connection.execute(of_jobs):
            word = "queued" if state == "queued" else "running"
            own = found.setdefault(key, {})
            own[word] = own.get(word, 0) + count
    return found


def seconds_of_trials(connection: Connection, keys: Sequence[int], now: float) -> dict[int, float]:
    """Return for how many seconds the trials of each search have run, all together."""
    found: dict[int, float] = {}
    for part in parts(keys):
        ran = func.sum(trials.c.finished_at - trials.c.started_at)
        over = select(trials.c.search, ran).where(
            trials.c.search.in_(part), trials.c.started_at.is_not(None)
        )
        runs = (
            select(trials.c.search, func.sum(now - jobs.c.started_at))
            .join_from(trials, jobs, trials.c.job_id == jobs.c.job_id)
            .where(
                trials.c.search.in_(part),
                trials.c.state == TrialState.OPEN.value,
                jobs.c.started_at.is_not(None),
            )
        )
        for query in (over, runs):
            for key, seconds in connection.execute(query.group_by(trials.c.search)):
                found[key] = found.get(key, 0.0) + float(seconds or 0.0)
    return found


def loops(connection: Connection, project: str | None, limit: int) -> list[dict[str, Any]]:
    """Return what was submitted together without being a search, the newest first.

    Each as {name, project, user, created_at, finished_at, counts}; at least two jobs.
    """
    known = select(searches.c.name)
    query = (
        select(jobs.c.search, func.max(jobs.c.id), func.count())
        .where(jobs.c.search.is_not(None), jobs.c.search.not_in(known))
        .group_by(jobs.c.search)
        .having(func.count() > 1)
        .order_by(func.max(jobs.c.id).desc())
        .limit(limit)
    )
    if project is not None:
        found = select(projects.c.id).where(projects.c.name == project).scalar_subquery()
        query = query.where(jobs.c.project_id == found)
    names = [name for name, _, _ in connection.execute(query)]
    described = {name: loop(connection, name) for name in names}
    return [found for found in described.values() if found is not None]


def loop(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return what was submitted together under this name; None where nothing was."""
    query = (
        select(
            jobs.c.state,
            jobs.c.reason,
            func.count(),
            func.min(jobs.c.submitted_at),
            func.max(jobs.c.finished_at),
        )
        .where(jobs.c.search == name)
        .group_by(jobs.c.state, jobs.c.reason)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    # Whoever began has a say in it: others may have joined under the same name.
    first = (
        select(projects.c.name, jobs.c.user)
        .join_from(jobs, projects, jobs.c.project_id == projects.c.id)
        .where(jobs.c.search == name)
        .order_by(jobs.c.id)
        .limit(1)
    )
    project, user = connection.execute(first).one()
    return {
        "name": name,
        "project": project,
        "user": user,
        "created_at": min(row[3] for row in rows),
        "finished_at": max((row[4] for row in rows if row[4] is not None), default=None),
        "counts": [(row[0], row[1], row[2]) for row in rows],
    }


def unfinished_jobs(connection: Connection, name: str) -> list[str]:
    """Return the IDs of the jobs of a search or loop that are not over."""
    over = ("completed", "failed", "stopped")
    query = select(jobs.c.job_id).where(jobs.c.search == name, jobs.c.state.not_in(over))
    return list(connection.execute(query).scalars())


def pruned(connection: Connection, keys: Sequence[int]) -> set[int]:
    """Return which of these jobs (row keys) are trials that were given up early."""
    found: set[int] = set()
    for part in parts(keys):
        query = select(jobs.c.id).where(
            jobs.c.id.in_(part), jobs.c.state == "stopped", jobs.c.reason == "pruned"
        )
        found.update(connection.execute(query).scalars())
    return found


def bundles(connection: Connection) -> set[str]:
    """Return the bundles that trials to come are made of."""
    query = select(searches.c.bundle).where(searches.c.state.in_(_GOING_ON))
    return set(connection.execute(query.distinct()).scalars())


def _select() -> Select[Any]:
    columns = [column for column in searches.c if column.name not in ("project_id", "secrets")]
    query = select(*columns, projects.c.name.label("project"))
    return query.join_from(searches, projects, searches.c.project_id == projects.c.id)


def _one(connection: Connection, query: Select[Any]) -> SearchRecord | None:
    row = connection.execute(query).mappings().first()
    return _search(row) if row else None


def _search(row: RowMapping) -> SearchRecord:
    return SearchRecord(**{**row, "state": SearchState(row["state"])})


def _trial(row: RowMapping) -> TrialRecord:
    return TrialRecord(**{**row, "state": TrialState(row["state"])})


_TRIAL = [column for column in trials.c if column.name != "score"]
_HIDDEN = frozenset({"memo"})
# Built once: composing a statement costs several times as much as executing it.
_BY_KEY = _select().where(searches.c.id == bindparam("wanted"))
_ADD_TRIAL = insert(trials)
_END = (
    update(trials)
    .where(
        trials.c.search == bindparam("of"),
        trials.c.number == bindparam("numbered"),
        trials.c.state == TrialState.OPEN.value,
    )
    .values(
        {
            name: bindparam(name + "_now")
            for name in (
                "state",
                "scores",
                "score",
                "message",
                "started_at",
                "finished_at",
                "memo",
            )
        }
    )
)
