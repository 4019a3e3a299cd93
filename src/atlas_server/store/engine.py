"""The database: transactions, and the schema's version."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Text, inspect, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.types import TypeEngine

from atlas_server.store.column_types import Json
from atlas_server.store.schema import metadata
from atlas_server.store.sqlite import SqliteDatabase
from foundations.errors import Refused, ServerError

SCHEMA_VERSION = "0004"
# So long a process waits for another that upgrades the database.
_PATIENCE = 3.0
_PAUSE = 0.1
_T = TypeVar("_T")
_MOST_ASKED = 500  # values in one query; SQLite takes some 30,000


class Database(Protocol):
    """What each kind of database does in its own way."""

    @property
    def name(self) -> str:
        """What people know it as, without a password."""
        ...

    @property
    def version(self) -> Hashable:
        """Something that is another after each write of anybody."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """See `Store.read`."""
        ...

    def writing(self, *, durable: bool, attempt: int | None) -> AbstractContextManager[Connection]:
        """See `Store.write`."""
        ...

    def beside(self) -> AbstractContextManager[Connection]:
        """See `Store.write_beside`."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """See `Store.alone`."""
        ...

    def keep_copy(self, name: str) -> None:
        """Keep all of it as it is now beside it, where that can be done."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class Store:
    """Gives out transactions on one database: a file (Path), or what a PostgreSQL URL names.

    Writers come one after the other, in every process that works on the database: what one reads
    in its transaction is not changed by another before it commits, and events are committed in the
    order of their numbers.
    """

    def __init__(self, where: Path | str) -> None:
        self._database = _open(where)
        self._guard: Callable[[Connection], None] | None = None
        try:
            self._migrate()
        except DatabaseError as error:
            self.close()
            raise ServerError(f"The database {self.name} cannot be used: {error.orig}.") from error
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What people know the database as, without a password."""
        return self._database.name

    @property
    def version(self) -> Hashable:
        """Something that is another after each write: while it stays the same, so do all answers.

        To be asked before a read whose answer is kept.
        """
        return self._database.version

    def read(self) -> AbstractContextManager[Connection]:
        """Yield a connection that sees one consistent state; changes nothing."""
        return self._database.reading()

    def write(
        self, *, durable: bool = False, attempt: int | None = None
    ) -> AbstractContextManager[Connection]:
        """Yield a connection in a write transaction, committed at the end of the block.

        With `durable` the commit returns only when it would survive a power cut; without, it
        survives the end of any process. A writer that changes nothing but the records of one
        attempt's job, and appends no event, may say so with the key of the `attempt`: others of
        its kind need not wait for it. Raises StorageFull when the disk is full, Unavailable where
        the database is away.
        """
        if self._guard is None:
            return self._database.writing(durable=durable, attempt=attempt)
        return self._guarded(self._guard, durable, attempt)

    def write_beside(self) -> AbstractContextManager[Connection]:
        """Yield a connection in a write transaction that waits for no other writer.

        For what no use case reads: which process does what.
        """
        return self._database.beside()

    def guarded(self, guard: Callable[[Connection], None]) -> Store:
        """Return this store for a writer that has to be asked first, in each of its transactions.

        `guard` raises what keeps it from writing.
        """
        other = copy(self)
        other._guard = guard
        return other

    @contextmanager
    def _guarded(
        self, guard: Callable[[Connection], None], durable: bool, attempt: int | None
    ) -> Iterator[Connection]:
        with self._database.writing(durable=durable, attempt=attempt) as connection:
            guard(connection)
            yield connection

    def alone(self) -> AbstractContextManager[None]:
        """Keep servers out for a while. Raises Refused where one works on the database.

        Of a file that is for the lock of its home to do.
        """
        return self._database.alone()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def _migrate(self) -> None:
        with self.read() as connection:
            found = _schema_version(connection)
        if found == SCHEMA_VERSION:
            return
        if found is not None and found > SCHEMA_VERSION:
            message = f"The database {self.name} was made by a newer Atlas (schema {found})."
            raise ServerError(message, "Install that version again, or a newer one.")
        if found is None:
            with self.write(durable=True) as connection:
                _upgrade(connection)
            return
        with self._without_older_servers():
            self._database.keep_copy(f"before-{SCHEMA_VERSION}")
            with self.write(durable=True) as connection:
                _upgrade(connection)

    @contextmanager
    def _without_older_servers(self) -> Iterator[None]:
        """Keep all others out while the schema changes; waits for one that is changing it."""
        deadline = time.monotonic() + _PATIENCE
        with ExitStack() as lock:
            while True:
                try:
                    lock.enter_context(self.alone())
                    break
                except Refused as error:
                    if time.monotonic() > deadline:
                        raise Refused(
                            f"The database {self.name} has to be upgraded to schema "
                            f"{SCHEMA_VERSION}, and servers of an older version work on it.",
                            "Stop all of them, then start this one. Jobs go on meanwhile.",
                        ) from error
                time.sleep(_PAUSE)
            yield


def parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield `values` in parts that fit into one query."""
    for start in range(0, len(values), _MOST_ASKED):
        yield values[start : start + _MOST_ASKED]


def _open(where: Path | str) -> Database:
    if isinstance(where, Path):
        return SqliteDatabase(where)
    # Late: most servers need no more than the file.
    from atlas_server.store.postgresql import PostgresDatabase  # noqa: PLC0415

    return PostgresDatabase(where)


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

    options = {"compare_type": _is_other_type}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _is_other_type(
    context: Any, _found: Any, _meant: Any, found: TypeEngine[Any], meant: TypeEngine[Any]
) -> bool | None:
    """Whether a column has another type than it should; None leaves it to Alembic."""
    if isinstance(meant, Json) and context.dialect.name == "postgresql":
        return not isinstance(found, Text)
    return None
