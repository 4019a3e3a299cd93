"""The embedded database: one file, one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from atlas_server.domain import patterns
from foundations.errors import StorageFull

_SHORT = 100
_known_match = lru_cache(maxsize=20_000)(patterns.matches)


class SqliteDatabase:
    """Gives out transactions on one file.

    Writers queue up on a lock here instead of on the file, so that none ever sees "database is
    locked".
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        self.name = str(path)
        self._engine = _engine(path)
        self._write_lock = threading.Lock()
        self._writes = 0

    @property
    def version(self) -> int:
        """How often was written."""
        return self._writes

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool, attempt: int | None) -> Iterator[Connection]:
        """Yield the connection of the one writer that there is, whatever it is about to write."""
        with self._write_lock, _clear_errors(), self._engine.connect() as connection:
            connection = connection.execution_options(atlas_write=True, atlas_attempt=attempt)
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with connection.begin():
                yield connection
            self._writes += 1

    def beside(self) -> AbstractContextManager[Connection]:
        """There is one writer only."""
        return self.writing(durable=False, attempt=None)

    def alone(self) -> AbstractContextManager[None]:
        """Nothing to do: the lock of the home keeps others out."""
        return nullcontext()

    def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the database."""
        self._engine.dispose()


def _engine(path: Path) -> Engine:
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
        # SQLAlchemy's own is Python's `re`, which may never end.
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
