"""The numbers that a database has given out: those of deleted rows are never given again."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select

from atlas_server.store.schema import metadata


def last_numbers(connection: Connection) -> dict[str, int]:
    """Return of each table that counts its rows the last number that was given out."""
    found = {table.name: _highest(connection, table) for table in _counted()}
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
        given = {name: number for name, number in rows if name in found}
    else:
        given = {
            name: connection.exec_driver_sql(
                f"SELECT last_value FROM {_sequence(connection, name)} WHERE is_called"  # noqa: S608
            ).scalar()
            for name in found
        }
    return {name: max(number, given.get(name) or 0) for name, number in found.items()}


def set_last_numbers(connection: Connection, numbers: dict[str, int]) -> None:
    """Go on counting after these."""
    for table in _counted():
        number = numbers.get(table.name, 0)
        if not number:
            continue
        if connection.dialect.name == "postgresql":
            sequence = _sequence(connection, table.name)
            connection.exec_driver_sql("SELECT setval(%s::regclass, %s)", (sequence, number))
        elif table.dialect_options["sqlite"]["autoincrement"]:
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
            connection.exec_driver_sql(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, number)
            )


def _counted() -> list[Table]:
    """The tables whose rows get a number from the database."""
    return [table for table in metadata.sorted_tables if table.autoincrement_column is not None]


def _highest(connection: Connection, table: Table) -> int:
    column = table.autoincrement_column
    assert column is not None
    return connection.execute(select(func.max(column))).scalar() or 0


def _sequence(connection: Connection, table: str) -> str:
    column = metadata.tables[table].autoincrement_column
    assert column is not None
    found = connection.exec_driver_sql(
        "SELECT pg_get_serial_sequence(%s, %s)", (f'"{table}"', column.name)
    )
    return str(found.scalar_one())
