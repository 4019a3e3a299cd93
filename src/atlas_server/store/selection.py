"""A query's conditions and order as SQL. Whatever a query says is a bound parameter.

Each condition on a parameter, metric or tag is one probe into a table whose key is (job, name): the
same effort for every job, whatever the planner knows. Conditions are true or false, never NULL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    Text,
    and_,
    any_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from atlas_server.domain.query.goals import goal_of
from atlas_server.domain.query.syntax import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Compare,
    Condition,
    Contains,
    Equals,
    Has,
    Leaf,
    Matches,
    Not,
    Search,
    Source,
    StartsWith,
)
from atlas_server.store.tables import (
    job_texts,
    jobs,
    latest_metrics,
    metric_keys,
    params,
    projects,
    tags,
)
from atlas_server.store.value_columns import metric_of_job, param_of_job

Sql = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query is read with: what time it is, and which metrics are best high or low.

    `found`: which texts each pattern matches, where it is not for the database to say.
    `by_column`: whether the database has `value_columns`.
    """

    now: float
    goals: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[Matches, Sequence[str]] | None = None
    by_column: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """A column's values in SQL: as a number, as a text; None where it has no such values."""

    number: Sql | None = None
    text: Sql | None = None


def holds(condition: Condition, reading: Reading) -> ColumnElement[bool]:
    """The condition as SQL on a row of `jobs`."""
    match condition:
        case AllOf(conditions):
            return and_(true(), *(holds(part, reading) for part in conditions))
        case AnyOf(conditions):
            return or_(false(), *(holds(part, reading) for part in conditions))
        case Not(inner):
            return not_(holds(inner, reading))
        case Search(text):
            found = job_texts.c.text.contains(text.casefold(), autoescape=True)
            return exists().where(job_texts.c.job == jobs.c.id, found)
        case _:
            return _leaf(condition, reading)


def values_of(column: Column, reading: Reading) -> tuple[Values, Any]:
    """A column's values, and how its table is joined to a job: (table, condition), or None.

    Every call makes a table of its own, so that one metric can be joined twice.
    """
    match column.source:
        case Source.PARAM:
            table, joined = _params(column.name, reading)
            return Values(table.c.number, table.c.text), (table, joined)
        case Source.TAG:
            table = tags.alias()
            joined = and_(table.c.job == jobs.c.id, table.c.key == column.name)
            return Values(text=table.c.value), (table, joined)
        case Source.METRIC:
            table, joined = _metrics(column.name, reading)
            return _aggregated(table, column, reading), (table, joined)
        case _:
            return _field(column.name, reading)


def _params(name: str, reading: Reading) -> tuple[Any, Any]:
    if reading.by_column:
        return param_of_job(name)
    table = params.alias()
    return table, and_(table.c.job == jobs.c.id, table.c.key == name)


def _metrics(name: str, reading: Reading) -> tuple[Any, Any]:
    if reading.by_column:
        return metric_of_job(name)
    table = latest_metrics.alias()
    key = select(metric_keys.c.id).where(metric_keys.c.name == name).scalar_subquery()
    return table, and_(table.c.job == jobs.c.id, table.c.key == key)


def is_there(values: Values) -> ColumnElement[bool]:
    """Whether there is a value, where it is known whether the table has a row."""
    given = [value.is_not(None) for value in (values.number, values.text) if value is not None]
    return or_(*given)


def _leaf(leaf: Leaf, reading: Reading) -> ColumnElement[bool]:
    assert not isinstance(leaf, Search)
    values, joined = values_of(leaf.column, reading)
    if joined is None:
        return _on_value(leaf, values, reading)
    table, on = joined
    # A parameter may be null, and is there all the same.
    counts = leaf.column.source is Source.METRIC and leaf.column.aggregate is not Aggregate.LAST
    wanted = true() if isinstance(leaf, Has) and not counts else _on_value(leaf, values, reading)
    return exists().select_from(table).where(on, wanted)


def _on_value(leaf: Leaf, values: Values, reading: Reading) -> ColumnElement[bool]:
    match leaf:
        case Compare(_, relation, number):
            return false() if values.number is None else _compared(values.number, relation, number)
        case Has():
            return is_there(values)
        case _ if values.text is None:
            return false()
        case Equals(_, text, folded):
            value = func.lower(values.text) if folded else values.text
            found = value == (lower(text) if folded else text)
        case Contains(_, text):
            found = func.lower(values.text).contains(lower(text), autoescape=True)
        case StartsWith(_, text):
            found = values.text.startswith(text, autoescape=True)
        case Matches():
            found = _matched(leaf, values.text, reading)
        case _:
            raise AssertionError(leaf)
    return and_(values.text.is_not(None), found)


def _matched(leaf: Matches, text: Sql, reading: Reading) -> ColumnElement[bool]:
    if reading.found is None:
        return text.regexp_match(leaf.pattern)
    return text == any_(literal(list(reading.found[leaf]), ARRAY(Text)))


def _compared(value: Sql, relation: str, number: float) -> ColumnElement[bool]:
    # As a float whatever the column is: PostgreSQL would round it to a whole number.
    wanted = literal(number, Float)
    found = {
        "<": value < wanted,
        "<=": value <= wanted,
        "=": value == wanted,
        ">=": value >= wanted,
        ">": value > wanted,
    }[relation]
    return and_(value.is_not(None), found)


def _aggregated(table: Any, column: Column, reading: Reading) -> Values:
    aggregate = column.aggregate
    if aggregate is Aggregate.BEST:
        best = goal_of(column.name, reading.goals)
        aggregate = Aggregate.MIN if best == "min" else Aggregate.MAX
    match aggregate:
        case Aggregate.MIN:
            return Values(table.c.lowest)
        case Aggregate.MAX:
            return Values(table.c.highest)
        case Aggregate.COUNT:
            return Values(table.c.count)
        case _:
            return Values(table.c.number, table.c.text)


def _field(name: str, reading: Reading) -> tuple[Values, Any]:
    if name == "command":
        table = job_texts.alias()
        return Values(text=table.c.command), (table, table.c.job == jobs.c.id)
    if name == "project":
        # One row: a join costs nothing, and a subselect would be asked for every job.
        table = projects.alias()
        return Values(text=table.c.name), (table, table.c.id == jobs.c.project_id)
    if name == "duration":
        ends = func.coalesce(jobs.c.finished_at, literal(reading.now, Float))
        return Values(ends - jobs.c.started_at), None
    columns: dict[str, Any] = {
        "id": jobs.c.job_id,
        "submitted": jobs.c.submitted_at,
        "queued": jobs.c.queued_at,
        "started": jobs.c.started_at,
        "finished": jobs.c.finished_at,
    }
    column = columns.get(name, jobs.c.get(name))
    assert column is not None, name
    if name in _TEXTS:
        return Values(text=column), None
    return Values(column), None


def order_of(values: Values, descending: bool) -> list[Sql]:
    """What to sort by: numbers, then texts whatever their case, then jobs without a value."""
    number, text = values.number, values.text
    by: list[Sql] = []
    if number is not None and text is not None:
        by.append(case((number.is_not(None), 0), (text.is_not(None), 1), else_=2))
    else:
        value = text if number is None else number
        assert value is not None
        by.append(case((value.is_(None), 1), else_=0))
    if number is not None:
        by.append(number.desc() if descending else number.asc())
    if text is not None:
        by.append(func.lower(text).desc() if descending else func.lower(text).asc())
    return by


_TEXTS = frozenset({"id", "kind", "name", "user", "state", "reason", "message", "notes", "search"})
_LOWER = str.maketrans({chr(letter): chr(letter + 32) for letter in range(65, 91)})


def lower(text: str) -> str:
    """Return a text in lower case as every database agrees on it: the letters of ASCII."""
    return text.translate(_LOWER)
