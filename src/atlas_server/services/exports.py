"""Tables of jobs for other programs: all jobs of a query, columns of their choice, row by row."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.answers.jobs import JobRow
from atlas_server.domain.query.fields import FIELDS, Kind
from atlas_server.domain.query.syntax import Aggregate, Column, Source
from atlas_server.services.queries import Asked, Queries
from atlas_server.services.rows import Shown, rows_of
from atlas_server.store import catalogue, jobs, listing
from atlas_server.store.engine import Store, parts
from atlas_server.store.listing import Selection

_FIELDS = (
    "id", "name", "project", "user", "state", "reason", "submitted", "started", "finished",
    "duration", "priority", "cpus", "gpus", "memory", "exit_code", "attempts", "command",
)  # fmt: skip
_KEYS = {
    "id": "job_id", "submitted": "submitted_at", "started": "started_at", "queued": "queued_at",
    "finished": "finished_at",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of the table: its title, and whether all its values are numbers, or are times."""

    title: str
    numeric: bool
    time: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What is exported: the columns, and rows of JSON values in their order."""

    columns: list[ExportColumn]
    rows: Iterator[list[Any]]


class Exports:
    """Reads of whole tables."""

    def __init__(self, store: Store, queries: Queries) -> None:
        self._store = store
        self._queries = queries

    def table(self, asked: Asked, columns: Sequence[str] | None, limit: int | None = None) -> Table:
        """Return the jobs that are asked for, with these columns or all. Raises InvalidQuery.

        `limit` is how many at most, the first in their order.
        """
        with self._store.read() as connection:
            selection, _ = self._queries.selection(connection, asked)
            counted = catalogue.of_project(connection, asked.project)
            wanted = (
                _all_columns(counted)
                if columns is None
                else self._queries.columns(connection, columns, asked.project)
            )
            keys = _keys(connection, selection)[:limit]
        numeric = {(c.kind, c.name) for c in counted if c.jobs == c.numbers}
        described = [_described(column, numeric) for column in wanted]
        return Table(described, self._rows(keys, wanted, selection.reading.now))

    def _rows(
        self, keys: Sequence[int], columns: Sequence[Column], now: float
    ) -> Iterator[list[Any]]:
        shown = Shown(*(
            frozenset(column.name for column in columns if column.source is source)
            for source in (Source.PARAM, Source.METRIC, Source.TAG)
        ))  # fmt: skip
        for part in parts(keys):
            # Page by page: a reader that is slow must not hold the database.
            with self._store.read() as connection:
                rows = rows_of(connection, jobs.by_keys(connection, part), shown)
            for row in rows:
                yield [_cell(row, column, now) for column in columns]


def _keys(connection: Connection, selection: Selection) -> list[int]:
    return listing.keys_of(connection, selection)


def _all_columns(counted: Sequence[catalogue.Counted]) -> list[Column]:
    sources = {
        catalogue.PARAM: Source.PARAM,
        catalogue.METRIC: Source.METRIC,
        catalogue.TAG: Source.TAG,
    }
    order = {catalogue.PARAM: 0, catalogue.METRIC: 1, catalogue.TAG: 2}
    recorded = sorted(counted, key=lambda column: (order[column.kind], column.name))
    fields = [Column(Source.FIELD, name) for name in _FIELDS]
    return fields + [Column(sources[column.kind], column.name) for column in recorded]


def _described(column: Column, numeric: set[tuple[str, str]]) -> ExportColumn:
    if column.source is Source.FIELD:
        kind = FIELDS[column.name].kind
        is_number = kind not in (Kind.TEXT, Kind.WORD, Kind.TIME)
        return ExportColumn(str(column), is_number, kind is Kind.TIME)
    if column.source is Source.PARAM:
        return ExportColumn(str(column), (catalogue.PARAM, column.name) in numeric, False)
    # The newest value of a metric may be a text or NaN at any time; its bounds are numbers.
    counts = column.source is Source.METRIC and column.aggregate is not Aggregate.LAST
    return ExportColumn(str(column), counts, False)


def _cell(row: JobRow, column: Column, now: float) -> Any:
    name = column.name
    if column.source is Source.PARAM:
        return row["params"].get(name)
    if column.source is Source.TAG:
        return row["tags"].get(name)
    if column.source is Source.METRIC:
        metric: Any = row["metrics"].get(name)
        part = "value" if column.aggregate is Aggregate.LAST else column.aggregate.value
        return None if metric is None else metric[part]
    if name == "duration":
        begun = row["started_at"]
        return None if begun is None else (row["finished_at"] or now) - begun
    if name == "command":
        return shlex.join([*(row["entrypoint"] or ["python"]), *row["command"]])
    if name in ("cpus", "gpus", "memory"):
        return dict(row["resources"])[name]
    return dict(row)[_KEYS.get(name, name)]
