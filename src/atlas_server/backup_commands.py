"""`atlas-server backup` and `restore`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atlas_server.config import ServerConfig
from foundations.errors import FoundationsError

_EPILOG = """\
The server need not be stopped. The same folder again: what is new is copied.

examples:
  atlas-server backup /mnt/backup/atlas
  atlas-server backup /mnt/backup/atlas --verify"""


def add_parsers(commands: Any, config: Callable[[], ServerConfig]) -> None:
    """Add both commands; `config` gives the configuration of this home."""
    backup = commands.add_parser(
        "backup",
        help="save everything, while the server works",
        description="Save the database, code, results and logs of this home to a folder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    backup.add_argument("folder", metavar="FOLDER", type=Path, help="a new one, or one that was")
    backup.add_argument(
        "--verify", action="store_true", help="save nothing: read all that was saved, and check it"
    )
    backup.set_defaults(run=lambda given: _backup(given, config()))
    restore = commands.add_parser(
        "restore",
        help="make a home of a backup",
        description="Make a home of a backup: FOUNDATIONS_HOME, which must not be in use.",
        epilog="example: FOUNDATIONS_HOME=/srv/atlas atlas-server restore /mnt/backup/atlas",
    )
    restore.add_argument("folder", metavar="FOLDER", type=Path)
    restore.set_defaults(run=lambda given: _restore(given, config()))


def _backup(arguments: argparse.Namespace, config: ServerConfig) -> int:
    # Late: no other command needs the database.
    from atlas_server import backups  # noqa: PLC0415

    _refuse_postgres(config)
    folder = arguments.folder.absolute()
    if arguments.verify:
        with _progress("Reading") as advance:
            jobs, pieces, damaged = backups.verify(folder, advance)
        if damaged:
            raise FoundationsError(
                f"{len(damaged)} of {pieces} pieces of content are damaged: {damaged[0][:12]}...",
                "Save once more to another folder.",
            )
        print(f"The backup is sound: {jobs} jobs, {pieces} pieces of content.")
        return 0
    with _progress("Saving") as advance:
        saved = backups.save(config, folder, advance)
    print(
        f"Saved {saved.jobs} jobs to {folder}: {saved.copied.files} new files"
        f" ({saved.copied.size / 1e6:.1f} MB), {saved.copied.kept} were there."
    )
    if saved.lost:
        raise FoundationsError(
            f"{len(saved.lost)} pieces of content are missing in {config.home} itself.",
            f"The first of them: {saved.lost[0]}",
        )
    return 0


def _restore(arguments: argparse.Namespace, config: ServerConfig) -> int:
    from atlas_server import backups  # noqa: PLC0415

    _refuse_postgres(config)
    with _progress("Restoring") as advance:
        jobs = backups.restore(config, arguments.folder.absolute(), advance)
    print(f"Restored {jobs} jobs to {config.home}. Start it: atlas-server start")
    return 0


def _refuse_postgres(config: ServerConfig) -> None:
    if getattr(config, "database_url", None) is not None:
        raise FoundationsError(
            "The database of this server is PostgreSQL: pg_dump and pg_restore save it.",
            "Save the database first and the home's folders after it, see docs/operations.md.",
        )


@contextmanager
def _progress(verb: str) -> Iterator[Any]:
    """Draw how many pieces are done, where somebody looks."""
    count = 0
    shown = sys.stderr.isatty()

    def advance(more: int) -> None:
        nonlocal count
        count += more
        if shown and count % 100 == 0:
            sys.stderr.write(f"\r{verb}: {count} pieces")

    yield advance
    if shown and count >= 100:
        sys.stderr.write("\r\033[K")
