"""`foundations limits`: who may have how much, and who has how much."""

from __future__ import annotations

import sys

from foundations import config
from foundations.cli.output import Console, print_json
from foundations.cli.targets import complete_projects, new_parser, open_api, set_completer
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List, Optional

    Json = Dict[str, Any]

_EPILOG = """\
Without a verb it shows what everybody has of what they may have. Limits of a
user or project go before those of everybody, which are set with --user '*'
or --project '*'. A job counts against its user's limits and its project's.

examples:
  foundations limits
  foundations limits set --user '*' --gpus 4 --queued 1000
  foundations limits set --user alice --gpus 8 --share 2
  foundations limits set --project digits --stored 500GB
  foundations limits set --user alice --gpus none
  foundations limits remove --user alice"""
_HELP = {
    "jobs": "jobs that run at the same time",
    "gpus": "GPUs that running jobs hold",
    "cpus": "CPUs that running jobs hold",
    "queued": "jobs that wait",
    "stored": "code, results and artifacts, as in 500GB",
    "priority": "the highest priority",
    "share": "what a user gets in proportion to others, who have 1",
}
_UNITS = {"kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers, name, text, "Show or set what users and projects may have.", _EPILOG
    )
    add = parser.add_argument
    add("verb", nargs="?", choices=("set", "remove"), metavar="set|remove", help="default: show")
    add("--user", metavar="NAME", help="this user's")
    set_completer(add("--project", metavar="NAME", help="this project's"), complete_projects)
    for limit, about in _HELP.items():
        add("--" + limit, metavar="N", help=about)
    add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the limits, or change them."""
    given = {name: getattr(arguments, name) for name in _HELP}
    changes = {name: _number(name, text) for name, text in given.items() if text is not None}
    api = open_api(arguments.scheduler)
    if arguments.verb is None:
        if changes:
            raise ConfigError("These limits are not set yet.", "foundations limits set ...")
        table = api.limits()
    else:
        if (arguments.user is None) == (arguments.project is None):
            raise ConfigError("Say whose limits: --user NAME or --project NAME.")
        kind = "user" if arguments.user is not None else "project"
        name = arguments.user if arguments.user is not None else arguments.project
        table = _changed(api, arguments.verb, kind, name, changes)
    rows = [row for row in table["limits"] if _is_meant(row, arguments)]
    if arguments.json:
        print_json(rows)
    elif rows:
        _print(rows)
    else:
        Console().info("Nobody has limits, and nothing runs or waits.")
    return 0


def _changed(api: Any, verb: str, kind: str, name: str, changes: Json) -> Json:
    if verb == "remove":
        if changes:
            raise ConfigError(
                "remove takes back all limits.",
                "One of them: foundations limits set --{} {} --{} none".format(
                    kind, name, next(iter(changes))
                ),
            )
        return api.remove_limits(kind, name)
    if not changes:
        raise ConfigError("There is nothing to set.", "Give one of --" + ", --".join(_HELP))
    return api.set_limits(kind, name, changes)


def _is_meant(row: Json, arguments: argparse.Namespace) -> bool:
    if arguments.user is None and arguments.project is None:
        return True
    return row["name"] == (arguments.user if row["kind"] == "user" else arguments.project)


def _number(name: str, text: str) -> Optional[float]:
    """Read a limit; None: there shall be none."""
    word = text.strip().lower()
    if word in ("none", "no", "unlimited"):
        return None
    factor = 1
    if name == "stored":
        factor = _UNITS.get(word[-2:], 1)
        word = word[:-2] if factor > 1 else word
    try:
        value = float(word) * factor
    except ValueError:
        raise ConfigError("--{} takes a number or `none`, not '{}'.".format(name, text)) from None
    return int(value) if value == int(value) else value


def _print(rows: List[Json]) -> None:
    from foundations.cli.tables import Column, print_table

    print_table(
        [
            Column("WHO", least=8),
            Column("JOBS"),
            Column("GPUS"),
            Column("CPUS"),
            Column("QUEUED"),
            Column("STORED", rank=1),
            Column("PRIORITY", rank=3),
            Column("SHARE", rank=2),
        ],
        [[_who(row), *(_cell(row, name) for name in ("jobs", "gpus", "cpus", "queued", "stored")),
          _most(row, "priority"), _most(row, "share")] for row in rows],
    )  # fmt: skip
    sys.stdout.write("\nWhat is used, of what may be. A line without limits has none.\n")


def _who(row: Json) -> str:
    if row["name"] == "*":
        return "every {}".format(row["kind"])
    if row["kind"] == "project":
        return "project " + row["name"]
    return row["name"] + (" (you)" if row["name"] == config.user() else "")


def _cell(row: Json, name: str) -> str:
    most = _most(row, name)
    if row["name"] == "*":
        return most
    used = row["used"][name]
    if used is None:
        return ""
    shown = _bytes(used) if name == "stored" else "{:g}".format(used)
    return "{} of {}".format(shown, most) if most else shown


def _most(row: Json, name: str) -> str:
    value = row["limits"][name]
    if value is None:
        return ""
    return _bytes(value) if name == "stored" else "{:g}".format(value)


def _bytes(count: float) -> str:
    for unit in ("TB", "GB", "MB", "KB"):
        if count >= _UNITS[unit.lower()]:
            return "{:.3g} {}".format(count / _UNITS[unit.lower()], unit)
    return "{:g} B".format(count)
