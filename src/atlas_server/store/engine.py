"""The database connection: transactions, durability, and the schema's version."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from atlas_server.domain import patterns
from atlas_server.store.schema import metadata
from foundations.errors import ServerError, StorageFull

SCHEMA_VERSION = "0003"
_T = TypeVar("_T")
_MOST_ASKED = 500  # values in one query; SQLite takes some 30,000


class Store:
    """Gives out transactions on one database.

    SQLite has one writer at a time: writers queue up on a lock here instead of on the file, so
    that none ever sees "database is locked".
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        self._engine = _sqlite_engine(path)
        self._write_lock = threading.Lock()
        # Counts what was written: while it stays the same, so do all answers.
        self.version = 0
        try:
            self._migrate(path)
        except DatabaseError as error:
            raise ServerError(f"The database {path} cannot be used: {error.orig}.") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state; changes nothing."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Yield a connection in a write transaction, committed at the end of the block.

        With `durable` the commit returns only when it would survive a power cut; without, it
        survives the end of any process. Raises StorageFull when the disk is full.
        """
        with self._write_lock, _clear_errors(), self._engine.connect() as connection:
            connection = connection.execution_options(atlas_write=True)
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with connection.begin():
                yield connection
            self.version += 1

    def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the database."""
        self._engine.dispose()

    def _migrate(self, path: Path) -> None:
        with self.read() as connection:
            found = _schema_version(connection)
        if found == SCHEMA_VERSION:
            return
        if found is not None and found > SCHEMA_VERSION:
            message = f"The database {path} was made by a newer Atlas (schema {found})."
            raise ServerError(message, "Install that version again, or a newer one.")
        with self.write(durable=True) as connection:
            _upgrade(connection)


def parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield `values` in parts that fit into one query."""
    for start in range(0, len(values), _MOST_ASKED):
        yield values[start : start + _MOST_ASKED]


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": 30},
        hide_parameters=True,  # errors are logged, and jobs' secrets are among the parameters
    )

    @event.listens_for(engine, "connect")
    def configure(raw: sqlite3.Connection, _record: object) -> None:
        # Transactions begin where `begin` below says so, not where the driver guesses.
        raw.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "temp_store=MEMORY"):
            raw.execute(f"PRAGMA {pragma}")
        # What PostgreSQL has as `~`; SQLAlchemy's own is Python's `re`, which may never end.
        raw.create_function("regexp", 2, _matches, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("atlas_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _matches(pattern: str, text: str | None) -> bool | None:
    if text is None:
        return None
    # Parameters of very many jobs have few values, and looking one up is cheaper than matching it.
    return _known_match(pattern, text) if len(text) < _SHORT else patterns.matches(pattern, text)


_SHORT = 100
_known_match = lru_cache(maxsize=20_000)(patterns.matches)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if "full" in str(error.orig) or "disk I/O error" in str(error.orig):
            raise StorageFull(
                "The server's disk is full; nothing was changed.",
                "Free some space (foundations delete job ...) and try again.",
            ) from error
        raise


def _schema_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Late: a server that finds its database up to date does not need Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "atlas_server.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA_VERSION)


def same_schema(connection: Connection) -> list[object]:
    """Return how the database differs from `schema.metadata`; empty when it does not."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    return list(compare_metadata(MigrationContext.configure(connection), metadata))
