"""Inserting many rows at once, past what SQLAlchemy does for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert
from sqlalchemy.sql.compiler import SQLCompiler

# Fewer are not worth composing the statement for.
_MANY = 100


def insert_many(connection: Connection, statement: Insert, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns, in the same order."""
    if len(rows) >= _MANY:
        compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
        assert isinstance(compiled, SQLCompiler)
        if compiled.positiontup is not None:  # else the driver wants names
            values = list(map(itemgetter(*compiled.positiontup), rows))
            connection.exec_driver_sql(str(compiled), values)
            return
    connection.execute(statement, list(rows))
