"""`foundations config`: which schedulers are known here, and where each setting comes from."""

from __future__ import annotations

import argparse
import os
import re
import sys

from foundations import config, scheduler_files
from foundations.cli.output import confirmed, print_json
from foundations.client.address import Address
from foundations.errors import ConfigError, FoundationsError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_EPILOG = """\
examples:
  foundations config add aws https://atlas.example.org/lab
  foundations config add lab https://10.0.0.5:5000 --ca-file lab-ca.pem
  foundations config check aws
  foundations config list
  foundations config show
  foundations config remove aws"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command with its deeds."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Schedulers that are known here, and where settings come from.",
        epilog=_EPILOG,
    )
    deeds = parser.add_subparsers(metavar="WHAT", required=True, dest="what")
    _add(deeds, "list", "the schedulers that are known here", run_list)
    add = _add(deeds, "add", "make a scheduler known", run_add, json=False)
    add.add_argument("name", metavar="NAME", help="what commands will call it")
    add.add_argument("url", metavar="URL", help="http://HOST:PORT, https://HOST/PATH, unix:///PATH")
    add.add_argument("--ca-file", metavar="FILE", help="what vouches for its certificate (PEM)")
    add.add_argument("--force", action="store_true", help="replace one of this name")
    remove = _add(deeds, "remove", "forget a scheduler", run_remove, json=False)
    remove.add_argument("name", metavar="NAME", help="the scheduler")
    remove.add_argument("--yes", "-y", action="store_true", help="do not ask")
    check = _add(deeds, "check", "look whether a scheduler can be used, step by step", run_check)
    check.add_argument("name", nargs="?", metavar="NAME", help="default: the one in use")
    show = _add(deeds, "show", "every setting, and where it comes from", run_show)
    show.add_argument("name", nargs="?", metavar="NAME", help="default: the one in use")


def _add(
    deeds: Any,
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
    json: bool = True,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = deeds.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=_EPILOG
    )
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def run_list(arguments: argparse.Namespace) -> int:
    """Print the schedulers; the one that is meant where none is named has a mark."""
    found = [_described(name) for name in _names()]
    if arguments.json:
        print_json({"schedulers": found})
        return 0
    from foundations.cli.tables import Column, print_table

    columns = [Column(""), Column("NAME"), Column("ADDRESS", least=20), Column("FILE", rank=1)]
    print_table(columns, [_row(item) for item in found])
    return 0


def run_add(arguments: argparse.Namespace) -> int:
    """Write a submission config."""
    if not _NAME.fullmatch(arguments.name):
        raise ConfigError(
            "'{}' cannot be the name of a scheduler.".format(arguments.name),
            "Use letters, digits and `_`, `-`, `.`.",
        )
    url = arguments.url.rstrip("/")
    try:
        Address(url)
    except Unreachable as error:
        raise ConfigError(error.message, error.hint) from None
    path = _path_of(arguments.name)
    if os.path.exists(path) and not arguments.force:
        raise ConfigError("{} exists.".format(path), "Replace it with --force.")
    lines = ["scheduler_url: {}".format(_quoted(url))]
    if arguments.ca_file:
        certificate = os.path.abspath(os.path.expanduser(arguments.ca_file))
        if not os.path.isfile(certificate):
            raise ConfigError("There is no file {}.".format(certificate))
        lines.append("ca_file: {}".format(_quoted(certificate)))
    config.cache_dir("")  # makes the home, for its owner alone
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(partial, path)
    sys.stdout.write("Scheduler '{}' is {}, in {}.\n".format(arguments.name, url, path))
    sys.stdout.write(
        "Look whether it answers: foundations config check {}\n".format(arguments.name)
    )
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Delete a submission config."""
    path = _path_of(arguments.name)
    if not os.path.exists(path):
        config.scheduler(arguments.name)  # says which there are
        raise ConfigError("'{}' is this machine: it has no file.".format(arguments.name))
    if not arguments.yes and not confirmed("Delete {}?".format(path)):
        return 1
    os.unlink(path)
    sys.stdout.write("Scheduler '{}' is forgotten; its jobs go on.\n".format(arguments.name))
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Look at a scheduler step by step."""
    from foundations.cli.checking import check

    return check(arguments.name or config.default_scheduler(), arguments.json)


def run_show(arguments: argparse.Namespace) -> int:
    """Print every setting with its source."""
    from foundations.cli.provenance import show

    return show(arguments.name, arguments.json)


def _names() -> List[str]:
    """Every name that has a file, though what is in it may be wrong."""
    folder = os.path.dirname(_path_of(""))
    files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    suffix = scheduler_files.SUFFIX
    names = [file[: -len(suffix)] for file in files if file.endswith(suffix)]
    return [config.LOCAL_SCHEDULER, *(name for name in names if name != config.LOCAL_SCHEDULER)]


def _described(name: str) -> Dict[str, Any]:
    in_use = name == config.default_scheduler()
    try:
        found = config.scheduler(name)
    except FoundationsError as error:
        return {"name": name, "url": None, "path": _path_of(name), "in_use": in_use,
                "problem": error.message}  # fmt: skip
    state = config.server_state(config.home()) if found.is_local else None
    return {
        "name": name,
        "url": (state.get("public_url") or state["url"]) if state else found.url,
        "path": found.path,
        "ca_file": found.ca_file,
        "in_use": in_use,
        "problem": None,
    }


def _row(item: Dict[str, Any]) -> List[Any]:
    from foundations.cli import wording

    problem = item["problem"]
    where = (problem, wording.RED) if problem else item["url"]
    return ["*" if item["in_use"] else "", item["name"], where, item["path"] or "(this machine)"]


def _path_of(name: str) -> str:
    return os.path.join(config.home(), "config", "submission", name + scheduler_files.SUFFIX)


def _quoted(text: str) -> str:
    import json

    return text if re.fullmatch(r"[\w/:.~-]+", text, re.ASCII) else json.dumps(text)
