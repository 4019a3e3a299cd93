"""PostgreSQL as the database, for servers of several processes.

Writers take a lock of the whole database for the length of their transaction, so that all that
holds for SQLite's one writer holds here: what was read is not changed by others before the commit,
and numbers of events are committed in their order. Writers that change nothing but one job's
records share that lock, and exclude each other attempt by attempt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from atlas_server.database_url import nameable
from atlas_server.store.postgresql_errors import (
    in_words,
    is_away,
    is_read_only,
    no_answer,
    shortened,
)
from foundations.errors import ConfigError, Refused, Unavailable

_CONNECTIONS = 10
_MORE_CONNECTIONS = 10
_SHARED_WRITERS = 4
# So long a transaction waits for a database that is being restarted, before anything is done.
_PATIENCE = 8.0
_PAUSE = 0.1
_UNTIL_THEN = "See whether it runs; until then nothing can be read or changed."
# Locks of this database; the numbers only have to be Atlas's own.
_WRITERS = 0x41544C41
_JOBS = 0x41544C42
SERVERS = 0x41544C43
# A process that stops in the middle (a machine that sleeps) must not hold up all others.
_SETTINGS = {
    "application_name": "atlas-server",
    "lock_timeout": "60s",
    "statement_timeout": "120s",
    "idle_in_transaction_session_timeout": "10min",
    # Compiling a statement for the processor takes longer than any of ours is quickened by it.
    "jit": "off",
}
# Of several hosts the one that can be written to; a standby alone is no database for a server.
_WIRE: dict[str, int | str] = {
    "target_session_attrs": "read-write",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_LONGEST_PAUSE_OF_A_WRITER = "15s"
_EXCLUSIVE = (
    f"SELECT set_config('idle_in_transaction_session_timeout', '{_LONGEST_PAUSE_OF_A_WRITER}',"
    f" true), pg_advisory_xact_lock({_WRITERS})"
)
_SHARED = (
    f"SELECT set_config('idle_in_transaction_session_timeout', '{_LONGEST_PAUSE_OF_A_WRITER}',"
    f" true), pg_advisory_xact_lock_shared({_WRITERS}),"
    f" pg_advisory_xact_lock({_JOBS}, %s::int)"
)


class PostgresDatabase:
    """Gives out transactions on the database that a URL names, in any way that libpq knows."""

    def __init__(self, url: str) -> None:
        self.name = nameable(url)
        self._url = url
        self._engine = _engine(url)
        self._readers = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        # In one process writers queue up here, so that they leave connections to readers.
        self._write_lock = threading.Lock()
        self._shared = threading.Semaphore(_SHARED_WRITERS)
        # When it last could not be reached, and why.
        self._away: tuple[float, str] | None = None

    @property
    def version(self) -> str:
        """Which transactions are seen by a reader that begins now."""
        with self.reading() as connection:
            return connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state."""
        readers = self._connected(self._readers)
        with self._clear_errors(), readers as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool, attempt: int | None) -> Iterator[Connection]:
        """Yield a connection that writes alone, or alone for one attempt.

        `durable` makes no difference: what is committed survives as the database is set up.
        """
        del durable
        turn = self._write_lock if attempt is None else self._shared
        began = time.monotonic()
        with turn, self._clear_errors(), self._connected(self._engine, began) as connection:
            connection = connection.execution_options(atlas_attempt=attempt)
            with connection.begin():
                if attempt is None:
                    connection.exec_driver_sql(_EXCLUSIVE)
                else:
                    connection.exec_driver_sql(_SHARED, (attempt & 0x7FFFFFFF,))
                yield connection

    @contextmanager
    def beside(self) -> Iterator[Connection]:
        """Yield a connection that takes no lock but those of the rows that it changes."""
        writer = self._connected(self._engine)
        with self._clear_errors(), writer as connection, connection.begin():
            yield connection

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of which every server has a share."""
        with closing(connect(self._url)) as connection:
            (free,) = connection.execute(f"SELECT pg_try_advisory_lock({SERVERS})").fetchone()
            if not free:
                raise Refused(
                    f"A server works on the database {self.name}.", "Stop it: atlas-server stop"
                )
            yield

    def keep_copy(self, name: str) -> None:
        """Do nothing: pg_dump does that, for whoever looks after the database."""

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _connected(self, engine: Engine, began: float | None = None) -> Iterator[Connection]:
        """A connection; waits a little for a database that is just being restarted.

        Whoever has waited since `began` for others, who waited in vain, does not wait once more.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            if began is not None and self._away is not None and self._away[0] > began:
                raise Unavailable(self._away[1], _UNTIL_THEN)
            try:
                connection = engine.connect()
                break
            except DBAPIError as error:
                if not is_away(error):
                    raise
                if time.monotonic() >= end:
                    self._away = (time.monotonic(), no_answer(error, self.name))
                    raise Unavailable(self._away[1], _UNTIL_THEN) from error
                time.sleep(_PAUSE)
        with connection:
            yield connection

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise in_words(error, self.name) from error
        except PoolTimeout as error:
            raise Unavailable(
                f"All connections to the database {self.name} are in use.", "Try again."
            ) from error


def connect(url: str) -> Any:
    """Return a connection of the driver itself, on which every statement is its own transaction."""
    return _set_up(_driver().opened(url, **_wire(url)))


def look_at(url: str) -> tuple[str, float, str | None]:
    """Return its version, its time, and its schema if it has one, at once: nothing is waited for.

    Raises Unavailable.
    """
    driver = _driver()
    try:
        with closing(connect(url)) as connection:
            version, now, table = connection.execute(
                "SELECT current_setting('server_version'),"
                " extract(epoch FROM clock_timestamp())::float8, to_regclass('alembic_version')"
            ).fetchone()
            found = (
                table and connection.execute("SELECT version_num FROM alembic_version").fetchone()
            )
    except driver.Error as error:
        cause = str(error).partition("\n")[0].strip().rstrip(".")
        raise Unavailable(
            f"The database {nameable(url)} does not answer: {cause}.",
            "Look whether it runs, and at database_url: docs/postgres.md",
        ) from error
    return version.partition(" ")[0], now, found[0] if found else None


def _engine(url: str) -> Engine:
    driver, wire = _driver(), _wire(url)
    engine = create_engine(
        "postgresql+psycopg://",
        # As it was given: libpq knows services, password files, several hosts.
        creator=lambda: _set_up(driver.opened(url, **wire), False),
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_pre_ping=True,
        use_native_hstore=False,
        hide_parameters=True,  # errors are logged, and jobs' secrets are among the parameters
    )

    @event.listens_for(engine, "handle_error")
    def shorten(context: ExceptionContext) -> None:
        shortened(context.original_exception, context.sqlalchemy_exception)
        if is_read_only(context.original_exception):
            context.is_disconnect = True  # another host may be the one to write to by now

    @event.listens_for(engine, "checkout")
    def work(connection: Any, *_: Any) -> None:
        connection.work()

    @event.listens_for(engine, "checkin")
    def rest(connection: Any, *_: Any) -> None:
        if connection is not None and not connection.closed:
            connection.rest()

    return engine


def _wire(url: str) -> dict[str, int | str]:
    """Which peer is wanted, and how soon a silent one is gone, where the address does not say."""
    return {name: value for name, value in _WIRE.items() if f"{name}=" not in url}


def _set_up(connection: Any, autocommit: bool = True) -> Any:
    settings = ", ".join(
        f"set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items()
    )
    connection.execute(f"SELECT {settings}")
    connection.adapters.register_dumper(str, _text_dumper())
    connection.autocommit = autocommit
    return connection


def _text_dumper() -> Any:
    # Made when the driver is there.
    return import_module("atlas_server.store.postgresql_text").TextDumper


def _driver() -> Any:
    try:
        return import_module("atlas_server.store.postgresql_connection").Connection
    except ImportError as error:
        raise ConfigError(
            "database_url names a PostgreSQL database, and the driver for it is not installed.",
            "Install it: pip install 'foundations-atlas[postgres]'",
        ) from error
