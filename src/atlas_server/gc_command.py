"""`atlas-server gc`: clears away what nobody needs, beside a running server or without one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from atlas_server.config import ServerConfig
from foundations.errors import FoundationsError

_EPILOG = """\
Whatever a job has, an upload that goes on, and an environment in use stay. The
server does the same every six hours; it need not be stopped. What is kept for
how long is the setting `retention`, see docs/operations.md.

examples:
  atlas-server gc --dry-run
  atlas-server gc --json"""


def add_parser(commands: Any, config: Callable[[], ServerConfig]) -> None:
    """Add the command; `config` gives the configuration of this home."""
    command = commands.add_parser(
        "gc",
        help="remove what nobody needs any more",
        description="Remove content of no job, leftovers, old environments, and what the rules of "
        "retention say.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--dry-run", action="store_true", help="remove nothing: say what would go")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=lambda given: _clear(given, config()))


def _clear(arguments: argparse.Namespace, config: ServerConfig) -> int:
    # Late: `atlas-server --help` needs no database.
    from atlas_server.assembly import open_store  # noqa: PLC0415
    from atlas_server.clock import SystemClock  # noqa: PLC0415
    from atlas_server.services.feed import Feed  # noqa: PLC0415
    from atlas_server.upkeep import Kept, make_archives, make_clearing  # noqa: PLC0415

    if config.database_url is None and not config.database.exists():
        # A home that is being restored, too, has its database last.
        raise FoundationsError(f"There is no server's data in {config.home}.")
    store, kept = open_store(config), Kept.of(config)
    try:
        archives = make_archives(config, store, kept)
        clearing = make_clearing(config, store, kept, archives, Feed(), SystemClock())
        with _progress() as advance:
            cleared = list(clearing.clear(dry=arguments.dry_run, advance=advance))
    finally:
        store.close()
    total = sum(each.freed.size for each in cleared)
    if arguments.json:
        listed = [
            {
                "what": each.what,
                "rule": each.rule,
                "count": each.freed.files,
                "bytes": each.freed.size,
            }
            for each in cleared
        ]
        print(json.dumps({"dry_run": arguments.dry_run, "removed": listed, "bytes": total}))
        return 0
    for each in cleared:
        name = each.what if each.rule is None else f"{each.what} (rule '{each.rule}')"
        print(f"{name:<40} {each.freed.files:>9,} {_size(each.freed.size):>10}")
    verb = "would be" if arguments.dry_run else "were"
    print(f"{_size(total)} {verb} freed." if cleared else "There is nothing to remove.")
    return 0


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Draw what is looked at, where somebody looks."""
    counts: dict[str, int] = {}
    shown = sys.stderr.isatty()

    def advance(what: str, more: int) -> None:
        counts[what] = count = counts.get(what, 0) + more
        if shown and count % 100 == 0:
            sys.stderr.write(f"\r\033[K{what}{f': {count}' if count else ''}")

    try:
        yield advance
    finally:
        if shown:
            sys.stderr.write("\r\033[K")
