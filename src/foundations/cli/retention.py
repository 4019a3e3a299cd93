"""`foundations retention`: what is kept for how long."""

from __future__ import annotations

import sys

from foundations.cli.output import print_json
from foundations.cli.targets import complete_projects, new_parser, open_api, set_completer
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List, Optional

    Json = Dict[str, Any]

_EPILOG = """\
What is set for a project counts instead of what the server's file says about
the same things. It is carried out every six hours, and by `atlas-server gc`.

examples:
  foundations retention
  foundations retention set --project nets --remove log,artifacts --after 30d
  foundations retention set --project sweeps --remove job --after 7d \\
      --state failed --keep-last 20
  foundations retention set --project paper --remove job --after never
  foundations retention remove --project nets"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(subparsers, name, text, "Show or set what is kept for how long.", _EPILOG)
    add = parser.add_argument
    add("verb", nargs="?", choices=("set", "remove"), metavar="set|remove", help="default: show")
    set_completer(add("--project", metavar="NAME", help="this project's"), complete_projects)
    add("--remove", metavar="WHAT", help="log, artifacts, results, directories, measurements, job")
    add("--after", metavar="AGE", help="after the job's end, as in 90d; or never")
    add("--state", metavar="STATE", help="only of jobs that ended so: failed,stopped")
    add("--keep-last", metavar="N", type=int, help="spare the newest N jobs")
    add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the rules, or change them."""
    given = {
        "remove": _listed(arguments.remove),
        "after": arguments.after,
        "states": _listed(arguments.state),
        "keep_last": arguments.keep_last,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if arguments.verb is None and given:
        raise ConfigError("This is not set yet.", "foundations retention set ...")
    api = open_api(arguments.scheduler)
    table = api.retention() if arguments.verb is None else _changed(api, arguments, given)
    if arguments.json:
        print_json(table)
    else:
        _print(table)
    return 0


def _changed(api: Any, arguments: argparse.Namespace, given: Json) -> Json:
    if arguments.project is None:
        raise ConfigError("Say of which project: --project NAME.")
    if arguments.verb == "remove":
        if set(given) - {"remove"}:
            raise ConfigError("`remove` takes rules back: --remove says which, all without it.")
        return api.remove_retention(arguments.project, given.get("remove", ()))
    if "remove" not in given or "after" not in given:
        raise ConfigError("Say what goes, and when: --remove WHAT --after AGE.")
    return api.set_retention(arguments.project, given)


def _listed(text: Optional[str]) -> Optional[List[str]]:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _print(table: Json) -> None:
    from foundations.cli.tables import Column, print_table

    if not table["rules"]:
        sys.stdout.write("Everything is kept.\n")
        return
    columns = [Column("RULE", least=8), Column("REMOVES"), Column("AFTER"), Column("OF JOBS")]
    columns += [Column("IN PROJECTS", least=8), Column("SPARES", rank=1)]
    print_table(columns, [_row(rule) for rule in table["rules"]])
    if table["exempt"]:
        tags = ", ".join(table["exempt"])
        sys.stdout.write("\nJobs with one of these tags are left alone: {}.\n".format(tags))


def _row(rule: Json) -> List[str]:
    spared = "the newest {}".format(rule["keep_last"]) if rule["keep_last"] else ""
    return [
        rule["name"], ", ".join(rule["remove"]), _age(rule["after"]),
        "all" if len(rule["states"]) == 3 else ", ".join(rule["states"]),
        ", ".join(rule["projects"]), spared,
    ]  # fmt: skip


def _age(seconds: Optional[float]) -> str:
    if seconds is None:
        return "never"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return "{:g}{}".format(seconds / size, unit)
    return "{:g}s".format(seconds)
