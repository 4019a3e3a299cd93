"""`atlas-server node`: which nodes get no new jobs, whether the server runs or not."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from atlas_server.config import ServerConfig
from foundations.errors import FoundationsError

_LOOK_SECONDS = 0.5
_EPILOG = """\
A node that is drained gets no new jobs, and what runs there goes on. Nodes have
the names that `foundations nodes` shows.

examples:
  atlas-server node drain slurm/node7 --reason "a new disk" --wait
  atlas-server node list
  atlas-server node undrain slurm/node7"""


def add_parser(commands: Any, config: Callable[[], ServerConfig]) -> None:
    """Add the command; `config` gives the configuration of this home."""
    node = commands.add_parser(
        "node",
        help="keep new jobs from a node, or let it have some again",
        description="Nodes that get no new jobs; whether the server runs makes no difference.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = node.add_subparsers(metavar="VERB", required=True)

    def add(verb: str, about: str, act: Callable[..., int]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            verb, help=about, description=about[0].upper() + about[1:] + "."
        )
        parser.set_defaults(run=lambda given: act(given, config()))
        return parser

    drain = add("drain", "keep new jobs from a node", _drain)
    drain.add_argument("name", metavar="NAME")
    drain.add_argument("--reason", default="", help="shown to those who look at the node")
    drain.add_argument("--wait", action="store_true", help="until no job is there any more")
    add("undrain", "let a node have new jobs again", _undrain).add_argument("name", metavar="NAME")
    listed = add("list", "list the nodes that are drained", _list)
    listed.add_argument("--json", action="store_true", help="print JSON")


@contextmanager
def _drains(config: ServerConfig) -> Iterator[Any]:
    # Late: `atlas-server --help` needs no database.
    from atlas_server.assembly import open_store  # noqa: PLC0415
    from atlas_server.clock import SystemClock  # noqa: PLC0415
    from atlas_server.services.drains import Drains  # noqa: PLC0415
    from atlas_server.services.feed import Feed  # noqa: PLC0415

    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(config)
    try:
        yield Drains(store, Feed(), SystemClock())
    finally:
        store.close()


def _drain(arguments: argparse.Namespace, config: ServerConfig) -> int:
    name = arguments.name
    with _drains(config) as drains:
        drains.drain(name, getpass.getuser(), arguments.reason)
        there = drains.jobs_on(name)
        print(f"Node '{name}' gets no new jobs. {_still(there)}", flush=True)
        while arguments.wait and there:
            time.sleep(_LOOK_SECONDS)
            before, there = there, drains.jobs_on(name)
            if there != before:
                print(_still(there), file=sys.stderr, flush=True)
    return 0


def _undrain(arguments: argparse.Namespace, config: ServerConfig) -> int:
    with _drains(config) as drains:
        if not drains.undrain(arguments.name, getpass.getuser()):
            raise FoundationsError(
                f"Node '{arguments.name}' is not drained.",
                "Those that are: atlas-server node list",
            )
    print(f"Node '{arguments.name}' has new jobs again.")
    return 0


def _list(arguments: argparse.Namespace, config: ServerConfig) -> int:
    with _drains(config) as drains:
        found = [
            {
                "name": name,
                "by": drain.by,
                "reason": drain.reason,
                "since": drain.since,
                "jobs": drains.jobs_on(name),
            }
            for name, drain in sorted(drains.by_node().items())
        ]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for each in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(each["since"]))
        why = f": {each['reason']}" if each["reason"] else ""
        print(f"{each['name']}  by {each['by']} since {since}{why}  {_still(each['jobs'])}")
    if not found:
        print("No node is drained.")
    return 0


def _still(jobs: list[str]) -> str:
    if not jobs:
        return "No job is there."
    return (
        f"1 job is still there: {jobs[0]}"
        if len(jobs) == 1
        else f"{len(jobs)} jobs are still there."
    )
