"""Tables of jobs as people look at them: windows, columns, values, groups."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.answers.jobs import JobPage, JobRow
from atlas_server.domain.answers.tables import (
    Columns,
    ColumnValues,
    FieldShown,
    GroupMetric,
    GroupRow,
    Groups,
    MetricColumn,
    ParamColumn,
    QueryCheck,
    ValueTable,
)
from atlas_server.domain.ports import Clock
from atlas_server.domain.query.fields import FIELDS, Field
from atlas_server.domain.query.goals import goal_of
from atlas_server.domain.query.syntax import Column, Source
from atlas_server.services.queries import Asked, Queries
from atlas_server.services.rows import Shown, rows_of
from atlas_server.store import catalogue, events, jobs, listing, projects
from atlas_server.store.catalogue import Counted
from atlas_server.store.engine import Store
from atlas_server.store.listing import Selection
from foundations.errors import InvalidRequest

_KEPT_SECONDS = 10.0
_MOST_KEPT = 4


class _Orders:
    """The orders of the tables that were scrolled last, as long as nothing was written."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[Asked, tuple[Hashable, float, array[int]]] = {}

    def get(self, asked: Asked) -> array[int] | None:
        """Return the keys of a table in order, None where they are not known any more."""
        version, since, ordered = self._kept.get(asked, (-1, 0.0, array("q")))
        # What a query says of time, and how long jobs have run, changes by itself.
        current = version == self._store.version and self._clock.now() - since < _KEPT_SECONDS
        return ordered if current else None

    def keep(self, asked: Asked, ordered: array[int], version: Hashable) -> None:
        """Remember an order that was read when the store had this version."""
        kept = dict(list(self._kept.items())[-_MOST_KEPT + 1 :])
        kept.pop(asked, None)
        self._kept = {**kept, asked: (version, self._clock.now(), ordered)}


class Listings:
    """Reads of many jobs at once."""

    def __init__(self, store: Store, queries: Queries, clock: Clock) -> None:
        self._store = store
        self._queries = queries
        self._orders = _Orders(store, clock)

    def page(
        self, asked: Asked, offset: int, limit: int, columns: Sequence[str] | None = None
    ) -> JobPage:
        """Return a window of a table. Raises InvalidQuery, NotFound or InvalidRequest."""
        # Before the database is looked at: what is written from now on may or may not be seen.
        version = self._store.version
        with self._store.read() as connection:
            seq = events.last_seq(connection)
            selection, query = self._queries.selection(connection, asked)
            shown = Shown()
            if columns is not None:
                shown = _shown(self._queries.columns(connection, columns, asked.project))
            if offset:
                ordered = self._ordered(connection, asked, selection, version)
                total, keys = len(ordered), list(ordered[offset : offset + limit])
            else:
                total, keys = listing.window(connection, selection, offset, limit)
            rows = rows_of(connection, jobs.by_keys(connection, keys), shown)
            unknown = self._queries.unknown(connection, query, asked.project)
        return {"total": total, "offset": offset, "seq": seq, "jobs": rows, "unknown": unknown}

    def _ordered(
        self, connection: Connection, asked: Asked, selection: Selection, version: Hashable
    ) -> array[int]:
        """All keys of a table in order. Whoever scrolls asks for many windows of the same one."""
        ordered = self._orders.get(asked)
        if ordered is None:
            ordered = array("q", listing.keys_of(connection, selection))
            self._orders.keep(asked, ordered, version)
        return ordered

    def newest(
        self, asked: Asked, before: int | None, limit: int
    ) -> tuple[list[JobRow], int | None]:
        """Return the newest jobs that fit, and the cursor of those that follow."""
        with self._store.read() as connection:
            selection, query = self._queries.selection(connection, asked)
            if query.sort:
                raise InvalidRequest(
                    "This list is always the newest first; its query cannot have sort:.",
                    "Sorted lists: GET /listing",
                )
            keys = listing.keys_of(connection, selection, limit, before)
            rows = rows_of(connection, jobs.by_keys(connection, keys))
        return rows, keys[-1] if len(keys) == limit else None

    def columns(self, project: str | None) -> Columns:
        """Return every column that the jobs of a project have."""
        with self._store.read() as connection:
            if project is not None:
                projects.find(connection, project)
            counted = catalogue.of_project(connection, project)
            goals = projects.goals(connection).get(project or "", {})
            count = projects.count_jobs(connection, project)
        by_kind: dict[str, list[Counted]] = {}
        for column in counted:
            by_kind.setdefault(column.kind, []).append(column)
        return {
            "jobs": count,
            "fields": [_field(field) for field in FIELDS.values()],
            "params": [_param(column) for column in by_kind.get(catalogue.PARAM, [])],
            "metrics": [_metric(column, goals) for column in by_kind.get(catalogue.METRIC, [])],
            "tags": [
                {"name": column.name, "jobs": column.jobs}
                for column in by_kind.get(catalogue.TAG, [])
            ],
        }

    def column_values(self, asked: Asked, column: str, prefix: str, limit: int) -> ColumnValues:
        """Return the values of one column among the jobs that are asked for."""
        with self._store.read() as connection:
            selection, _ = self._queries.selection(connection, asked)
            [wanted] = self._queries.columns(connection, [column], asked.project)
            low, high, found = listing.values(connection, selection, wanted, prefix, limit + 1)
        return {
            "column": str(wanted),
            "min": low,
            "max": high,
            "values": [{"value": value, "jobs": count} for value, count in found[:limit]],
            "more": len(found) > limit,
        }

    def value_table(self, asked: Asked, columns: Sequence[str], limit: int) -> ValueTable:
        """Return jobs by columns, for charts over many of them."""
        with self._store.read() as connection:
            selection, _ = self._queries.selection(connection, asked)
            wanted = self._queries.columns(connection, columns, asked.project)
            ids, names, states, cells = listing.columns_of(connection, selection, wanted, limit)
            total = listing.total(connection, selection) if len(ids) == limit else len(ids)
        return {
            "total": total,
            "jobs": ids,
            "names": names,
            "states": states,
            "columns": {str(column): own for column, own in zip(wanted, cells, strict=True)},
        }

    def groups(self, asked: Asked, by: Sequence[str], metrics: Sequence[str], limit: int) -> Groups:
        """Return the jobs that are asked for in groups, with the mean of metrics over each."""
        with self._store.read() as connection:
            selection, _ = self._queries.selection(connection, asked)
            keys = self._queries.columns(connection, by, asked.project)
            numbers = self._queries.columns(connection, metrics, asked.project)
            for column in numbers:
                if not _is_numeric(column):
                    raise InvalidRequest(f"There is no mean of {column}: it is a text.")
            found = listing.groups(connection, selection, keys, numbers, limit + 1)
        return {
            "groups": [_group(group, numbers) for group in found[:limit]],
            "more": len(found) > limit,
        }

    def check(self, asked: Asked) -> QueryCheck:
        """Return what a query says, or what is wrong with it."""
        with self._store.read() as connection:
            return self._queries.check(connection, asked)


def _field(field: Field) -> FieldShown:
    return {
        "name": field.name,
        "type": field.kind.value,
        "note": field.note,
        "words": list(field.words),
    }


def _param(column: Counted) -> ParamColumn:
    return {
        "name": column.name,
        "jobs": column.jobs,
        "numbers": column.numbers,
        "texts": column.texts,
        "others": column.jobs - column.numbers - column.texts,
    }


def _metric(column: Counted, goals: Mapping[str, str]) -> MetricColumn:
    return {
        "name": column.name,
        "jobs": column.jobs,
        "numbers": column.numbers,
        "goal": goal_of(column.name, goals),
    }


def _shown(columns: Iterable[Column]) -> Shown:
    names: dict[Source, set[str]] = {Source.PARAM: set(), Source.METRIC: set(), Source.TAG: set()}
    for column in columns:
        names.setdefault(column.source, set()).add(column.name)
    return Shown(
        *(frozenset(names[source]) for source in (Source.PARAM, Source.METRIC, Source.TAG))
    )


def _is_numeric(column: Column) -> bool:
    if column.source is Source.FIELD:
        return FIELDS[column.name].kind.value not in ("text", "word")
    return column.source is not Source.TAG


def _group(group: listing.Group, metrics: Sequence[Column]) -> GroupRow:
    told: dict[str, Any] = {
        str(column): _spread(*numbers)
        for column, numbers in zip(metrics, group.metrics, strict=True)
    }
    return {"by": group.by, "jobs": group.jobs, "metrics": told}


def _spread(
    count: int, mean: float | None, squares: float | None, low: float | None, high: float | None
) -> GroupMetric:
    deviation = None
    if mean is not None and squares is not None and count > 1:
        # Rounding may leave less than nothing of equal numbers.
        variance = max(0.0, squares - mean * mean) * count / (count - 1)
        deviation = math.sqrt(variance)
    return {"jobs": count, "mean": mean, "deviation": deviation, "min": low, "max": high}
