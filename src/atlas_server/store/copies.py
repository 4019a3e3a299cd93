"""Copies of an SQLite database that others go on writing to."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from foundations.errors import ServerError

_PAGES = 2000  # at a time: writers get their turn in between


def copy_database(source: Path, target: Path) -> None:
    """Copy the database as it is at one moment; `target` appears complete, or not at all.

    Raises ServerError where the copy is not sound.
    """
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as old,
        contextlib.closing(sqlite3.connect(partial)) as new,
    ):
        old.backup(new, pages=_PAGES)
        new.execute("PRAGMA journal_mode=DELETE")
    check_database(partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    # A log of what was there before would be taken for the new one's.
    for ending in ("-wal", "-shm", "-journal"):
        target.with_name(target.name + ending).unlink(missing_ok=True)
    partial.replace(target)


def in_one_file(path: Path) -> None:
    """Fold the write-ahead log into a database that nobody uses, so that it can be moved."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def check_database(path: Path) -> None:
    """Raise ServerError for a file that is no sound database."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise ServerError(f"The database {path} is damaged: {found}.")
