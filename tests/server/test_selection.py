"""Queries as SQL, against the same queries evaluated by hand over what the jobs are."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from atlas_server.domain.query.goals import goal_of
from atlas_server.domain.query.parser import parse
from atlas_server.domain.query.syntax import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Compare,
    Contains,
    Equals,
    Has,
    Matches,
    Not,
    Search,
    Sort,
    Source,
    StartsWith,
    quoted,
)
from atlas_server.services.calendar import ZoneCalendar
from atlas_server.store import catalogue, listing, projects, texts, tracking
from atlas_server.store import jobs as rows
from atlas_server.store.engine import Store
from atlas_server.store.listing import Selection
from atlas_server.store.selection import Reading
from atlas_server.store.tables import latest_metrics, params
from atlas_server.store.tracking import Point
from atlas_server.store.value_columns import metric_values, param_keys, param_values

NOW = 1_790_000_000.0
DAY = 86400.0


@dataclass
class Made:
    """A job as it was made, for the evaluation by hand."""

    key: int
    job_id: str
    project: str
    name: str | None
    user: str
    state: str
    reason: str | None
    message: str | None
    notes: str | None
    command: list[str]
    priority: int
    memory: int | None
    submitted: float
    started: float | None
    finished: float | None
    exit_code: int | None
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[Any]] = field(default_factory=dict)


# Few names and values, so that conditions meet; among them what SQL could mistake for its own.
NAMES = ["lr", "loss", "a b", "o'k", 'q"u', "%", "x_y", "val/acc:", "é"]
TEXTS = ["adam", "Adam", "sgd", "10%", "a_b", "it's", "0.5", "", "Straße", "NaN", "ÄPFEL", "x\ny"]
NUMBERS = [-1.0, 0.0, 0.1, 0.5, 1.0, 2.0, 1e300]
values = st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.booleans() | st.none()
points = st.sampled_from([*NUMBERS, math.nan, math.inf, -math.inf, "warm-up", True])
jobs = st.builds(
    dict,
    project=st.sampled_from(["vision", "speech"]),
    name=st.none() | st.sampled_from(TEXTS),
    user=st.sampled_from(["ada", "Bob", "c%"]),
    state=st.sampled_from(["queued", "running", "completed", "failed"]),
    reason=st.none() | st.sampled_from(["nonzero_exit", "lost"]),
    message=st.none() | st.sampled_from(TEXTS),
    notes=st.none() | st.sampled_from(TEXTS),
    command=st.lists(st.sampled_from(["main.py", "--lr", "a b", "it's"]), min_size=1, max_size=3),
    priority=st.integers(-1, 1),
    memory=st.none() | st.sampled_from([1024**3, 8 * 1024**3]),
    submitted=st.sampled_from([NOW - 40 * DAY, NOW - 2 * DAY, NOW - 10]),
    started=st.none() | st.sampled_from([NOW - 5000, NOW - 100]),
    finished=st.none() | st.sampled_from([NOW - 50, NOW]),
    exit_code=st.none() | st.integers(0, 2),
    params=st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
    tags=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS), max_size=3),
    metrics=st.dictionaries(st.sampled_from(NAMES), st.lists(points, min_size=1, max_size=4)),
)


def insert(connection: Any, number: int, given: dict[str, Any]) -> Made:
    job_id = f"{number:08x}-0000-4000-8000-00000000{number % 7:04}"
    spec = {"command": given["command"], "entrypoint": None}
    own = {name: given[name] for name in ("name", "user", "state", "reason", "message", "notes")}
    key = rows.insert_job(
        connection,
        {
            **own, "job_id": job_id, "project_id": projects.ensure(connection, given["project"], 1),
            "exit_code": given["exit_code"], "priority": given["priority"], "cpus": 1.0,
            "memory": given["memory"], "gpus": 0.0, "retries": 0, "attempts": 0,
            "submitted_at": given["submitted"], "queued_at": given["submitted"],
            "started_at": given["started"], "finished_at": given["finished"],
            "bundle": "0" * 64, "spec": spec,
        },
    )  # fmt: skip
    tracking.set_tags(connection, key, given["tags"])
    tracking.set_params(connection, key, given["params"])
    texts.add(connection, key, spec)
    curves = [Point(k, 1.0, None, value) for k, own in given["metrics"].items() for value in own]
    if curves:
        tracking.add_points(connection, key, curves)
    return Made(key=key, job_id=job_id, **given)


@pytest.fixture(scope="module")
def store(tmp_path_factory, databases):
    with databases.store(tmp_path_factory.mktemp("selection")) as store:
        yield store


# -- by hand


def lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def both(value: Any, *, is_metric: bool = False) -> tuple[float | None, str | None]:
    """A value as a number or as a text."""
    if isinstance(value, bool):
        return (float(value), None) if is_metric else (None, "true" if value else "false")
    if isinstance(value, float | int):
        if math.isnan(value):
            return None, "NaN"
        if math.isinf(value):
            return None, "Infinity" if value > 0 else "-Infinity"
        return float(value), None
    return None, value


def cell(job: Made, column: Column) -> tuple[float | None, str | None] | None:
    """The number and text in a column; None: there is nothing at all."""
    match column.source:
        case Source.PARAM:
            return both(job.params[column.name]) if column.name in job.params else None
        case Source.TAG:
            return (None, job.tags[column.name]) if column.name in job.tags else None
        case Source.METRIC:
            return metric(job, column)
    if column.name == "duration":
        begun = job.started
        return None if begun is None else ((job.finished or NOW) - begun, None)
    value = {
        "id": job.job_id, "submitted": job.submitted, "queued": job.submitted, "cpus": 1.0,
        "gpus": 0.0, "attempts": 0, "command": shlex.join(["python", *job.command]),
    }.get(column.name) if not hasattr(job, column.name) or column.name == "command" else getattr(
        job, column.name
    )  # fmt: skip
    return None if value is None else both(value)


def metric(job: Made, column: Column) -> tuple[float | None, str | None] | None:
    curve = job.metrics.get(column.name)
    if curve is None:
        return None
    if column.aggregate is Aggregate.LAST:
        return both(curve[-1], is_metric=True)
    if column.aggregate is Aggregate.COUNT:
        return float(len(curve)), None
    finite = [n for n, _ in (both(value, is_metric=True) for value in curve) if n is not None]
    wants_low = column.aggregate is Aggregate.MIN or (
        column.aggregate is Aggregate.BEST and goal_of(column.name, {}) == "min"
    )
    return ((min if wants_low else max)(finite), None) if finite else None


def fits(job: Made, condition: Any) -> bool:
    match condition:
        case AllOf(parts):
            return all(fits(job, part) for part in parts)
        case AnyOf(parts):
            return any(fits(job, part) for part in parts)
        case Not(inner):
            return not fits(job, inner)
        case Search(text):
            known = [job.job_id, job.name, job.user, shlex.join(["python", *job.command])]
            known += [job.message, job.notes]
            known += [f"{k}={v}" if v else k for k, v in sorted(job.tags.items())]
            known += [both(v)[1] for _, v in sorted(job.params.items())]
            return text.casefold() in "\n".join(part for part in known if part).casefold()
    found = cell(job, condition.column)
    if found is None or isinstance(condition, Has):
        return found is not None
    if isinstance(condition, Compare):
        return found[0] is not None and compared(found[0], condition)
    return found[1] is not None and worded(found[1], condition)


def compared(number: float, condition: Compare) -> bool:
    wanted = condition.number
    return {
        "<": number < wanted, "<=": number <= wanted, "=": number == wanted,
        ">=": number >= wanted, ">": number > wanted,
    }[condition.relation]  # fmt: skip


def worded(text: str, condition: Any) -> bool:
    match condition:
        case Equals(_, wanted, folded):
            return lower(text) == lower(wanted) if folded else text == wanted
        case Contains(_, wanted):
            return lower(wanted) in lower(text)
        case StartsWith(_, wanted):
            return text.startswith(wanted)
        case Matches(_, pattern):
            return re.search(pattern, text) is not None
    raise AssertionError(condition)


def ordered(made: list[Made], sort: tuple[Sort, ...]) -> list[Made]:
    result = sorted(made, key=lambda job: -job.key)
    for item in reversed(sort):

        def rank(job: Made, column: Column = item.column) -> tuple[int, Any, Any]:
            number, text = cell(job, column) or (None, None)
            return number, text

        present = [job for job in result if rank(job) != (None, None)]
        missing = [job for job in result if rank(job) == (None, None)]
        numbers = [job for job in present if rank(job)[0] is not None]
        worded = [job for job in present if rank(job)[0] is None]
        numbers.sort(key=lambda job: rank(job)[0], reverse=item.descending)
        worded.sort(key=lambda job: lower(rank(job)[1]).encode(), reverse=item.descending)
        # `reverse` keeps equals in their order, as SQL does with the next key.
        result = numbers + worded + missing
    return result


# -- queries

FIELDS = [
    "id",
    "name",
    "project",
    "user",
    "reason",
    "command",
    "message",
    "notes",
    "priority",
    "memory",
    "exit_code",
    "attempts",
    "submitted",
    "started",
    "finished",
    "duration",
]
columns = st.one_of(
    st.builds(lambda n: f"params.{quoted(n)}", st.sampled_from(NAMES)),
    st.builds(lambda n: f"metrics.{quoted(n)}", st.sampled_from(NAMES)),
    st.builds(
        lambda f, n: f"{f}(metrics.{quoted(n)})",
        st.sampled_from(["min", "max", "best", "count", "last"]),
        st.sampled_from(NAMES),
    ),
    st.builds(lambda n: f"tags.{quoted(n)}", st.sampled_from(NAMES)),
    st.sampled_from(FIELDS),
)
literals = st.one_of(
    st.sampled_from(NUMBERS).map(str),
    st.sampled_from(TEXTS).map(quoted),
    st.sampled_from(["true", "nan", "inf", "-2d", "1h", "8GB", "lost", "ada", "a.*", "'", "--"]),
)
leaves = st.one_of(
    st.builds(
        lambda c, o, v: f"{c} {o} {v}",
        columns, st.sampled_from(["=", "!=", ":", "<", "<=", ">", ">=", "~", "!~"]), literals,
    ),
    st.builds(lambda c, n, a, b: f"{c} {n}in ({a}, {b})", columns,
              st.sampled_from(["", "not "]), literals, literals),
    st.builds(lambda w, c: f"{w}:{c}", st.sampled_from(["has", "missing"]), columns),
    st.builds(lambda n: f"tag:{quoted(n)}", st.sampled_from(NAMES)),
    st.builds(lambda n, v: f"tag:{quoted(n)}={quoted(v)}", st.sampled_from(NAMES),
              st.sampled_from(TEXTS)),
    st.sampled_from([text for text in TEXTS if text]).map(lambda text: f'"{text}"'),
    st.sampled_from(["state:failed", "state != running", "name:a", "id:0000000"]),
)  # fmt: skip
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} and {b})", inner, inner),
        st.builds(lambda a, b: f"({a} or {b})", inner, inner),
        st.builds(lambda a: f"not {a}", inner),
    ),
    max_leaves=5,
)
sorts = st.lists(st.builds(str.__add__, st.sampled_from(["", "-"]), columns), max_size=2)


class _Abandoned(Exception):
    """Ends a transaction without a trace."""


@contextmanager
def abandoned(store: Store) -> Iterator[Any]:
    try:
        with store.write() as connection:
            yield connection
            raise _Abandoned
    except _Abandoned:
        pass


def readable(text: str) -> Any:
    try:
        return parse(text, ZoneCalendar(NOW, "UTC"))
    except ValueError:
        return None
    except Exception as error:
        if type(error).__name__ == "InvalidQuery":
            return None
        raise


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    given_jobs=st.lists(jobs, min_size=1, max_size=8),
    texts_=st.lists(conditions, min_size=1, max_size=6),
    sort=sorts,
    project=st.sampled_from([None, "vision"]),
    offset=st.integers(0, 3),
)
def test_sql_finds_what_a_look_at_each_job_finds(store, given_jobs, texts_, sort, project, offset):
    order = f" sort:{','.join(sort)}" if sort else ""
    queries = [query for text in texts_ if (query := readable(text + order)) is not None]
    with abandoned(store) as connection:
        made = [insert(connection, number, job) for number, job in enumerate(given_jobs, start=1)]
        for query in queries:
            here = [job for job in made if project in (None, job.project)]
            expected = ordered([job for job in here if fits(job, query.condition)], query.sort)
            selection = Selection(Reading(NOW), project, query.condition, query.sort)
            assert listing.keys_of(connection, selection) == [job.key for job in expected]
            total, keys = listing.window(connection, selection, offset, 2)
            assert total == len(expected)
            assert keys == [job.key for job in expected][offset : offset + 2]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    given_jobs=st.lists(jobs, min_size=1, max_size=6),
    later=st.lists(st.tuples(st.integers(0, 5), jobs), max_size=6),
    removed=st.sets(st.integers(0, 5)),
    data=st.data(),
)
def test_columns_are_counted_as_jobs_change(store, given_jobs, later, removed, data):
    with abandoned(store) as connection:
        made = [insert(connection, number, job) for number, job in enumerate(given_jobs, start=1)]
        for index, more in later:
            job = made[index % len(made)]
            tracking.set_params(connection, job.key, more["params"])
            tracking.set_tags(connection, job.key, more["tags"])
            job.params |= more["params"]
            job.tags |= more["tags"]
            for name, curve in more["metrics"].items():
                tracking.add_points(connection, job.key, [Point(name, 1, None, v) for v in curve])
                job.metrics.setdefault(name, []).extend(curve)
            gone = data.draw(st.sets(st.sampled_from(NAMES), max_size=2))
            tracking.remove_tags(connection, job.key, sorted(gone))
            job.tags = {key: value for key, value in job.tags.items() if key not in gone}
            job.project = more["project"]
            catalogue.move(connection, job.key, projects.ensure(connection, job.project, 1))
        doomed = [job for index, job in enumerate(made) if index in removed]
        catalogue.forget(connection, [job.key for job in doomed])
        rows.remove(connection, [job.key for job in doomed])
        left = [job for job in made if job not in doomed]
        for project in (None, "vision", "speech"):
            here = [job for job in left if project in (None, job.project)]
            assert set(catalogue.of_project(connection, project)) == set(counted(here))
        if connection.dialect.name == "sqlite":
            for ours, theirs in BY_COLUMN:
                found = [
                    [tuple(row) for row in connection.execute(query)] for query in (ours, theirs)
                ]
                assert found[0] == found[1]


# What SQLite has a second time, column by column, as it is and as it is to be.
_PLACE = latest_metrics.c.key * (1 << 40) + latest_metrics.c.job
_PARAM_PLACE = param_keys.c.id * (1 << 40) + params.c.job
_COUNTED = [latest_metrics.c[name] for name in ("count", "number", "text", "lowest", "highest")]
BY_COLUMN = [
    (
        select(param_values).order_by(param_values.c.id),
        select(_PARAM_PLACE, params.c.number, params.c.text)
        .join_from(params, param_keys, param_keys.c.name == params.c.key)
        .order_by(_PARAM_PLACE),
    ),
    (
        select(metric_values).order_by(metric_values.c.id),
        select(_PLACE, *_COUNTED).order_by(_PLACE),
    ),
]


def counted(made: list[Made]) -> list[catalogue.Counted]:
    found: dict[tuple[str, str], list[int]] = {}
    for job in made:
        cells = [("param", name, *both(value)) for name, value in job.params.items()]
        cells += [("tag", name, None, value) for name, value in job.tags.items()]
        for name in job.metrics:
            low = metric(job, Column(Source.METRIC, name, Aggregate.MIN))
            cells.append(("metric", name, low and low[0], None))
        for kind, name, number, text in cells:
            tally = found.setdefault((kind, name), [0, 0, 0])
            tally[0] += 1
            tally[1] += number is not None
            tally[2] += text is not None
    return [catalogue.Counted(*place, *tally) for place, tally in found.items()]
