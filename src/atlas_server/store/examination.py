"""A database as it is found: looked at without changing anything, of whatever version it is."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from foundations.errors import ServerError

_SCHEMA = "SELECT version_num FROM alembic_version"


@dataclass(frozen=True, slots=True)
class Examined:
    """`schema` is None where there is none yet; `damage`, what is wrong with the file.

    `ahead` are seconds: of the database's clock before ours, or, of a file, of its newest event.
    """

    kind: str
    schema: str | None
    damage: str | None = None
    checked: bool = False
    ahead: float = 0.0
    is_remote: bool = False


def examine(where: Path | str, deep: bool) -> Examined:
    """Look at a database: a file, or what a PostgreSQL URL names. `deep`: at all of it.

    Raises Unavailable or ServerError where it cannot be opened.
    """
    if isinstance(where, Path):
        try:
            return _file(where, deep)
        except sqlite3.OperationalError as error:
            raise ServerError(f"{where} cannot be opened: {error}.") from error
        except sqlite3.DatabaseError as error:
            return Examined("SQLite", None, damage=str(error))
    return _postgres(where)


def _file(path: Path, deep: bool) -> Examined:
    address = f"file:{path}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
        check = "integrity_check" if deep else "quick_check"
        (said,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
        if said != "ok":
            return Examined("SQLite", None, damage=said.strip().replace("\n", "; "))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in tables:
            return Examined("SQLite", None, checked=True)
        (schema,) = connection.execute(_SCHEMA).fetchone()
        (newest,) = connection.execute("SELECT max(time) FROM events").fetchone()
        ahead = (newest or 0.0) - time.time()
        kind = f"SQLite {sqlite3.sqlite_version}"
        return Examined(kind, schema, checked=True, ahead=ahead)


def _postgres(url: str) -> Examined:
    # Late: most servers have a file.
    from atlas_server.store.postgresql import look_at  # noqa: PLC0415

    before = time.time()
    version, now, schema = look_at(url)
    ahead = now - (before + time.time()) / 2
    return Examined(f"PostgreSQL {version}", schema, ahead=ahead, is_remote=True)
