"""Tables of jobs: which rows, in which order, and their values by columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Float, Text, cast, func, null, select

from atlas_server.domain.query.syntax import Column, Condition, Sort
from atlas_server.store.matching import settled
from atlas_server.store.selection import (
    Reading,
    Values,
    holds,
    is_there,
    lower,
    order_of,
    values_of,
)
from atlas_server.store.tables import jobs, projects


@dataclass(frozen=True, slots=True)
class Selection:
    """Some jobs in an order: of a project (None: of all), under a condition, with these IDs."""

    reading: Reading
    project: str | None = None
    condition: Condition | None = None
    sort: Sequence[Sort] = ()
    ids: Sequence[str] | None = None


def total(connection: Connection, selection: Selection) -> int:
    """Return how many jobs are selected."""
    selection = _settled(connection, selection)
    query = _where(select(func.count()).select_from(jobs), selection)
    return connection.execute(query).scalar_one()


def window(
    connection: Connection, selection: Selection, offset: int, limit: int
) -> tuple[int, list[int]]:
    """Return how many jobs are selected, and the row keys of `limit` of them from `offset` on."""
    selection = _settled(connection, selection)
    # SQLite finds the newest that fit on the way; PostgreSQL goes through all jobs even for these.
    finds_newest = not selection.sort and selection.reading.by_column
    if finds_newest or not _is_narrowed(selection):
        keys = list(connection.execute(_ordered(selection, offset, limit)).scalars())
        if len(keys) < limit and (keys or not offset):
            return offset + len(keys), keys
        return total(connection, selection), keys
    # Deciding on every job is the dear part, and sorting needs all that fit: once for both.
    query = _ordered(selection, offset, limit).add_columns(func.count().over())
    found: Any = connection.execute(query).all()
    if found or not offset:
        return (found[0][1] if found else 0), [key for key, _ in found]
    return total(connection, selection), []


def keys_of(
    connection: Connection,
    selection: Selection,
    limit: int | None = None,
    before: int | None = None,
) -> list[int]:
    """Return the row keys of the selected jobs in order, of those alone below the key `before`."""
    selection = _settled(connection, selection)
    query = _ordered(selection, 0, limit)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return list(connection.execute(query).scalars())


def columns_of(
    connection: Connection, selection: Selection, columns: Sequence[Column], limit: int
) -> tuple[list[str], list[str | None], list[str], list[list[Any]]]:
    """Return (job IDs, names, states, values by columns) of the selected jobs.

    A value is None, number or text.
    """
    selection = _settled(connection, selection)
    query = select(jobs.c.job_id, jobs.c.name, jobs.c.state)
    query, given = _with_columns(query, columns, selection.reading)
    for values in given:
        query = query.add_columns(*_both(values))
    rows: Any = connection.execute(_ordered(selection, 0, limit, query)).all()
    ids, names, states, *cells = [list(column) for column in zip(*rows, strict=True)] or [
        [] for _ in range(3 + 2 * len(columns))
    ]
    by_columns = [
        [text if number is None else number for number, text in zip(*both, strict=True)]
        for both in _pairs(cells)
    ]
    return ids, names, states, by_columns


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs with the same values `by`; each metric as (jobs, mean, mean of squares, min, max)."""

    by: list[Any]
    jobs: int
    metrics: list[tuple[int, float | None, float | None, float | None, float | None]]


def groups(
    connection: Connection,
    selection: Selection,
    by: Sequence[Column],
    metrics: Sequence[Column],
    limit: int,
) -> list[Group]:
    """Return the selected jobs grouped, the largest groups first."""
    selection = _settled(connection, selection)
    query = select(func.count(jobs.c.id))
    query, given = _with_columns(query, [*by, *metrics], selection.reading)
    keys = [cell for values in given[: len(by)] for cell in _both(values)]
    for values in given[len(by) :]:
        assert values.number is not None
        # Squares of whole numbers would not fit into one, and their mean would be a decimal.
        number = cast(values.number, Float)
        query = query.add_columns(
            func.count(number),
            func.avg(number),
            func.avg(number * number),
            func.min(number),
            func.max(number),
        )
    query = _where(query.add_columns(*keys), selection).group_by(*keys)
    order = (key.nulls_first() for key in keys)
    rows = connection.execute(query.order_by(func.count(jobs.c.id).desc(), *order).limit(limit))
    end = 1 + 5 * len(metrics)
    return [
        Group(
            [text if number is None else number for number, text in _pairs(row[end:])],
            row[0],
            [(row[i], row[i + 1], row[i + 2], row[i + 3], row[i + 4]) for i in range(1, end, 5)],
        )
        for row in rows
    ]


def values(
    connection: Connection, selection: Selection, column: Column, prefix: str, limit: int
) -> tuple[float | None, float | None, list[tuple[Any, int]]]:
    """Return the least and greatest number of a column, and its most frequent values.

    With a `prefix` only texts that begin with it, whatever their case.
    """
    selection = _settled(connection, selection)
    query, [given] = _with_columns(select(func.count(jobs.c.id)), [column], selection.reading)
    number, text = _both(given)
    if prefix and given.text is not None:
        query = query.where(func.lower(given.text).startswith(lower(prefix), autoescape=True))
    query = _where(query.where(is_there(given)), selection).group_by(number, text)
    # The bounds are of all groups, though few of them are returned.
    query = query.add_columns(number, text, func.min(number).over(), func.max(number).over())
    order = (func.count(jobs.c.id).desc(), number.nulls_first(), text.nulls_first())
    query = query.order_by(*order).limit(limit)
    rows: Any = connection.execute(query).all()
    found = [(row[2] if row[1] is None else row[1], row[0]) for row in rows]
    low, high = (rows[0][3], rows[0][4]) if rows else (None, None)
    return low, high, found


def _settled(connection: Connection, selection: Selection) -> Selection:
    reading = replace(selection.reading, by_column=connection.dialect.name == "sqlite")
    reading = settled(connection, selection.condition, reading, selection.project)
    return replace(selection, reading=reading)


def _is_narrowed(selection: Selection) -> bool:
    return selection.condition is not None or selection.ids is not None


def _ordered(selection: Selection, offset: int, limit: int | None, query: Any = None) -> Any:
    query = select(jobs.c.id) if query is None else query
    order: list[Any] = []
    for sort in selection.sort:
        query, [given] = _with_columns(query, [sort.column], selection.reading)
        order += order_of(given, sort.descending)
    query = _where(query, selection).order_by(*order, jobs.c.id.desc())
    return query.offset(offset or None).limit(limit)


def _where(query: Any, selection: Selection) -> Any:
    if selection.project is not None:
        known = select(projects.c.id).where(projects.c.name == selection.project)
        query = query.where(jobs.c.project_id == known.scalar_subquery())
    if selection.condition is not None:
        query = query.where(holds(selection.condition, selection.reading))
    if selection.ids is not None:
        query = query.where(jobs.c.job_id.in_(selection.ids))
    return query


def _with_columns(
    query: Any, columns: Sequence[Column], reading: Reading
) -> tuple[Any, list[Values]]:
    """Join what the columns' values are in; jobs without a value stay."""
    found: list[Values] = []
    joined: Any = None
    tables: list[tuple[Any, Any]] = []
    for column in columns:
        values, join = values_of(column, reading)
        found.append(values)
        if join is not None:
            tables.append(join)
    froms = query.get_final_froms()
    joined = froms[0] if froms else jobs
    for table, on in tables:
        joined = joined.outerjoin(table, on)
    return query.select_from(joined), found


def _both(values: Values) -> tuple[Any, Any]:
    # With a type: PostgreSQL groups by no bare NULL.
    number = cast(null(), Float) if values.number is None else values.number
    return number, cast(null(), Text) if values.text is None else values.text


def _pairs(cells: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(cells[::2], cells[1::2], strict=True)
