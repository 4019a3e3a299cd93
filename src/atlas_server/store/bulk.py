"""Inserting many rows at once, past what SQLAlchemy does for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.sql.compiler import SQLCompiler

# Fewer are not worth composing the statement for.
_MANY = 100


def insert_many(connection: Connection, statement: Insert, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns, in the same order."""
    if len(rows) >= _MANY:
        if connection.dialect.name == "postgresql":
            assert isinstance(statement.table, Table)
            names = list(rows[0])
            copy_rows(connection, statement.table, names, map(itemgetter(*names), rows))
            return
        compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
        assert isinstance(compiled, SQLCompiler)
        if compiled.positiontup is not None:  # else the driver wants names
            values = list(map(itemgetter(*compiled.positiontup), rows))
            connection.exec_driver_sql(str(compiled), values)
            return
    connection.execute(statement, list(rows))


def copy_rows(
    connection: Connection, table: Table, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows with PostgreSQL's COPY: values of these columns as the driver takes them."""
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    driver: Any = connection.connection.driver_connection
    statement = f"COPY {quote(table.name)} ({columns}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
