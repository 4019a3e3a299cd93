"""What jobs have come to, as text that SQLite writes: a hundred thousand of them in seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Text,
    case,
    func,
    select,
    type_coerce,
)

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
    query = _RESULTS.where(projects.c.name == project).order_by(jobs.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return _rows(connection, query)


def of_jobs(connection: Connection, keys: Sequence[int]) -> Sequence[ResultRow]:
    """Return the jobs with these row keys, in this order; some hundred at once."""
    found = {row.id: row for row in _rows(connection, _RESULTS.where(jobs.c.id.in_(keys)))}
    return [found[key] for key in keys if key in found]


def _rows(connection: Connection, query: Any) -> list[ResultRow]:
    found: list[ResultRow] = []
    for *columns, is_json in connection.execute(query):
        row = ResultRow(*columns)
        if not is_json:  # it holds NaN or an infinity, which Python alone takes for JSON
            given = json.loads(row.given or "{}")["params"]
            row = row._replace(given=json.dumps(finite(given)))
        found.append(row)
    return found


def _object(key: ColumnElement[Any], value: Any, *, of: Any, job: Any) -> ScalarSelect[Any]:
    """All rows of a job in the table `of` as one JSON object."""
    return select(func.json_group_object(key, value)).select_from(of).where(job).scalar_subquery()


def _exact(number: ColumnElement[Any]) -> ColumnElement[Any]:
    """Seventeen digits, for with SQLite's fifteen one may not read the same number again."""
    return func.json(func.printf("%!.17g", number))


_METRIC = case(
    (latest_metrics.c.text.is_(None), _exact(latest_metrics.c.number)),
    else_=latest_metrics.c.text,
)
# SQLite makes numbers of JSON that looks like one; of text that is no JSON, NaN has come to Python.
_VALUE = type_coerce(params.c.value, Text)
_PARAM = case(
    (func.typeof(_VALUE) == "real", _exact(_VALUE)),
    (func.json_valid(_VALUE) == 1, func.json(_VALUE)),
    else_=_VALUE,
)
_SPEC = type_coerce(jobs.c.spec, Text)
_SPEC_IS_JSON = func.json_valid(_SPEC) == 1
_RESULTS = select(
    jobs.c.id,
    jobs.c.job_id,
    jobs.c.user,
    jobs.c.state,
    jobs.c.submitted_at,
    jobs.c.started_at,
    jobs.c.finished_at,
    case((_SPEC_IS_JSON, func.json_extract(_SPEC, "$.params")), else_=_SPEC),
    _object(params.c.key, _PARAM, of=params, job=params.c.job == jobs.c.id),
    _object(
        metric_keys.c.name,
        _METRIC,
        of=latest_metrics.join(metric_keys, latest_metrics.c.key == metric_keys.c.id),
        job=latest_metrics.c.job == jobs.c.id,
    ),
    _object(tags.c.key, tags.c.value, of=tags, job=tags.c.job == jobs.c.id),
    _SPEC_IS_JSON,
).join_from(jobs, projects, jobs.c.project_id == projects.c.id)
