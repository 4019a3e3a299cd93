"""What jobs have come to, as text that the database writes: 100,000 of them in seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, select, type_coerce

from atlas_server.store.json_texts import JsonTexts, PostgresTexts, SqliteTexts
from atlas_server.store.tables import jobs, latest_metrics, metric_keys, params, projects, tags
from foundations.contract.codec import finite


class ResultRow(NamedTuple):
    """One job. The last four are JSON as text, `given` parameters None where there are none."""

    id: int
    job_id: str
    user: str
    state: str
    submitted_at: float
    started_at: float | None
    finished_at: float | None
    given: str | None
    params: str
    metrics: str
    tags: str


def page(
    connection: Connection, project: str, before: int | None, limit: int
) -> Sequence[ResultRow]:
    """Return jobs of a project whose row key is below `before`, newest first."""
    query = _results(connection).where(projects.c.name == project)
    query = query.order_by(jobs.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return _rows(connection, query)


def of_jobs(connection: Connection, keys: Sequence[int]) -> Sequence[ResultRow]:
    """Return the jobs with these row keys, in this order; some hundred at once."""
    query = _results(connection).where(jobs.c.id.in_(keys))
    found = {row.id: row for row in _rows(connection, query)}
    return [found[key] for key in keys if key in found]


def _rows(connection: Connection, query: Any) -> list[ResultRow]:
    found: list[ResultRow] = []
    for *columns, is_json in connection.execute(query):
        row = ResultRow(*columns)
        if not is_json:  # it holds NaN or an infinity, which Python alone takes for JSON
            given = json.loads(row.given or "{}")["params"]
            row = row._replace(given=None if given is None else json.dumps(finite(given)))
        if "NaN" in row.params or "Infinity" in row.params:
            row = row._replace(params=_strict(row.params))
        found.append(row)
    return found


def _strict(text: str) -> str:
    """An object of JSON without what is none: a value that holds NaN becomes a text."""
    values = json.loads(text)
    told = {
        name: value if finite(value) == value else json.dumps(value)
        for name, value in values.items()
    }
    return json.dumps(told)


def _results(connection: Connection) -> Any:
    return _select(connection.dialect.name)


@cache
def _select(dialect: str) -> Any:
    """Built once: composing a statement costs several times as much as executing it."""
    texts: JsonTexts = PostgresTexts() if dialect == "postgresql" else SqliteTexts()
    spec = type_coerce(jobs.c.spec, Text)
    return select(
        jobs.c.id,
        jobs.c.job_id,
        jobs.c.user,
        jobs.c.state,
        jobs.c.submitted_at,
        jobs.c.started_at,
        jobs.c.finished_at,
        texts.member(spec, "params"),
        texts.object(
            params.c.key,
            texts.json(type_coerce(params.c.value, Text)),
            of=params,
            job=params.c.job == jobs.c.id,
        ),
        texts.object(
            metric_keys.c.name,
            texts.number_or_text(latest_metrics.c.number, latest_metrics.c.text),
            of=latest_metrics.join(metric_keys, latest_metrics.c.key == metric_keys.c.id),
            job=latest_metrics.c.job == jobs.c.id,
        ),
        texts.object(tags.c.key, texts.text(tags.c.value), of=tags, job=tags.c.job == jobs.c.id),
        texts.is_json(spec),
    ).join_from(jobs, projects, jobs.c.project_id == projects.c.id)
