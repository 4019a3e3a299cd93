"""Copies everything from one database to another, of whatever kind, and compares it afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Table, Text, bindparam, func, insert, select, type_coerce
from sqlalchemy.exc import DBAPIError

from atlas_server.store.bulk import copy_rows
from atlas_server.store.column_types import Json
from atlas_server.store.counters import last_numbers, set_last_numbers
from atlas_server.store.engine import Store
from atlas_server.store.schema import metadata
from foundations.errors import Refused, ServerError

_AT_ONCE = 5000
# Of the servers that run now.
_PASSING = frozenset({"scheduler_lease"})
_NUL, _SHOWN = "\0", "\N{SYMBOL FOR NULL}"

Progress = Callable[[str, int, int], None]
"""Is told a table, and how many of how many steps are done."""


def copy_all(source: Store, target: Store, progress: Progress) -> dict[str, int]:
    """Copy every row in one transaction; return how many there are of each table.

    A target that was given up halfway is as it was. Raises Refused for one that is not empty, and
    ServerError where something cannot be kept there or was not kept as it is here.
    """
    with source.read() as old, target.write(durable=True) as new:
        for connection in (old, new):
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        _refuse_rows(new, target.name)
        counts = {table.name: _count(old, table) for table in _tables()}
        steps = _Steps(progress, 2 * sum(counts.values()))
        for table in _tables():
            try:
                _copy(old, new, table, steps)
            except DBAPIError as error:
                said = str(error.orig).partition("\n")[0].strip()
                raise ServerError(
                    f"A row of '{table.name}' cannot be kept in {target.name}: {said}.",
                    "Nothing was copied.",
                ) from error
        set_last_numbers(new, last_numbers(old))
        for table in _tables():
            _compare(old, new, table, steps)
        return counts


class _Steps:
    """Rows copied and rows compared."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, table: Table, number: int) -> None:
        self._done += number
        self._progress(table.name, self._done, self._total)


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if table.name not in _PASSING]


def refuse_rows(store: Store) -> None:
    """Raise Refused for a database that holds anything."""
    with store.read() as connection:
        _refuse_rows(connection, store.name)


def _refuse_rows(connection: Connection, name: str) -> None:
    for table in _tables():
        number = _count(connection, table)
        if number:
            raise Refused(
                f"The database {name} is not empty: its table '{table.name}' has {number:,} rows.",
                "Name an empty database.",
            )


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _copy(old: Connection, new: Connection, table: Table, steps: _Steps) -> None:
    names = [column.name for column in table.c]
    # As text, which it is: a value of JSON is not looked into.
    raw = [column.name for column in table.c if isinstance(column.type, Json)]
    statement = insert(table).values(
        {name: type_coerce(bindparam(f"raw_{name}"), Text) for name in raw}
    )
    with closing(_parts(old, table)) as parts:
        for rows in parts:
            if new.dialect.name == "postgresql":
                copy_rows(new, table, names, rows)
            else:
                new.execute(statement, [_parameters(names, raw, row) for row in rows])
            steps.add(table, len(rows))


def _parameters(names: Sequence[str], raw: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    values = dict(zip(names, row, strict=True))
    return {f"raw_{name}" if name in raw else name: value for name, value in values.items()}


def _parts(connection: Connection, table: Table) -> Generator[list[tuple[Any, ...]], None, None]:
    """All rows in the order of their keys, some at once; JSON as text."""
    is_json = [isinstance(column.type, Json) for column in table.c]
    columns = [
        type_coerce(column, Text) if json_ else column
        for column, json_ in zip(table.c, is_json, strict=True)
    ]
    query = select(*columns).order_by(*table.primary_key.columns)
    with connection.execution_options(yield_per=_AT_ONCE).execute(query) as found:
        for rows in found.partitions():
            yield [
                tuple(
                    _as_text(value) if json_ else value
                    for value, json_ in zip(row, is_json, strict=True)
                )
                for row in rows
            ]


def _as_text(value: Any) -> str | None:
    # SQLite makes numbers of JSON that looks like one.
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _compare(old: Connection, new: Connection, table: Table, steps: _Steps) -> None:
    is_json = [isinstance(column.type, Json) for column in table.c]
    with closing(_parts(old, table)) as all_ours, closing(_parts(new, table)) as all_theirs:
        for ours, theirs in zip_longest(all_ours, all_theirs, fillvalue=[]):
            for here, there in zip_longest(ours, theirs):
                if here is None or there is None or not _same(here, there, is_json):
                    raise ServerError(
                        f"A row of '{table.name}' was not kept as it is: nothing was copied.",
                        "Please report this.",
                    )
            steps.add(table, len(ours))


def _same(here: tuple[Any, ...], there: tuple[Any, ...], is_json: Sequence[bool]) -> bool:
    return here == there or all(
        a == b or (_same_json(a, b) if json_ else _shown(a) == _shown(b))
        for a, b, json_ in zip(here, there, is_json, strict=True)
    )


def _shown(value: Any) -> Any:
    """A value as both kinds of databases hold it."""
    return value.replace(_NUL, _SHOWN) if isinstance(value, str) else value


def _same_json(here: str | None, there: str | None) -> bool:
    if here is None or there is None:
        return here is there
    one, other = json.loads(here), json.loads(there)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        # SQLite keeps a number alone as one of its own: 1.0 as 1, long ones as floats.
        return float(one) == float(other)
    return repr(one) == repr(other)
