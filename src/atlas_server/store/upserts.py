"""Insertions that find their row already there, in the words of each database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Table


class Upsert:
    """An insertion into a table; `on` gives it as the connection's database understands it.

    Made once: composing a statement costs several times as much as executing it.
    """

    def __init__(self, table: Table, finish: Callable[[Any], Any]) -> None:
        self._table = table
        self._finish = finish
        self._made: dict[str, Any] = {}

    def on(self, connection: Connection) -> Any:
        """Return the statement for this connection."""
        name = connection.dialect.name
        if name not in self._made:
            # Late: loading the words of a database takes a while, and most servers know one.
            words = import_module(f"sqlalchemy.dialects.{name}")
            self._made[name] = self._finish(words.insert(self._table))
        return self._made[name]


def replacing(table: Table, keys: Sequence[str]) -> Upsert:
    """An insertion that replaces everything but the keys where the row is there."""
    others = [column.name for column in table.c if column.name not in keys]

    def finish(row: Any) -> Any:
        values = {name: row.excluded[name] for name in others}
        return row.on_conflict_do_update(index_elements=list(keys), set_=values)

    return Upsert(table, finish)


def adding(table: Table, keys: Sequence[str], counts: Sequence[str]) -> Upsert:
    """An insertion that adds its `counts` to those of the row where it is there."""

    def finish(row: Any) -> Any:
        sums = {name: table.c[name] + row.excluded[name] for name in counts}
        return row.on_conflict_do_update(index_elements=list(keys), set_=sums)

    return Upsert(table, finish)


def passing_over(table: Table, keys: Sequence[str]) -> Upsert:
    """An insertion that leaves a row as it is where it is there."""
    return Upsert(table, lambda row: row.on_conflict_do_nothing(index_elements=list(keys)))
