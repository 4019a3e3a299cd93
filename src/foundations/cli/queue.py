"""`foundations queue` and `foundations clear-queue`: what waits, and why."""

from __future__ import annotations

import sys
import time

from foundations import config
from foundations.cli import wording
from foundations.cli.output import Console, confirmed, print_json
from foundations.cli.targets import complete_projects, new_parser, open_api, set_completer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    Json = Dict[str, Any]

_QUEUE_EPILOG = """\
examples:
  foundations queue
  foundations queue --json"""
_CLEAR_EPILOG = """\
The whole queue, of all users and projects, unless told otherwise. Running
jobs go on.

examples:
  foundations clear-queue scheduler
  foundations clear-queue --mine --project my_project --yes"""
_MOST = 10_000


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add one of the two commands."""
    if name == "queue":
        parser = new_parser(
            subparsers, name, text, "Show what runs and what waits, and why.", _QUEUE_EPILOG
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--quiet",
            "-q",
            action="store_true",
            help="print the IDs of waiting jobs alone, the next one first",
        )
        parser.set_defaults(run=show)
        return
    parser = new_parser(subparsers, name, text, "Stop every waiting job.", _CLEAR_EPILOG)
    parser.add_argument(
        "scheduler_config", nargs="?", metavar="SCHEDULER", help="default: scheduler, this machine"
    )
    set_completer(
        parser.add_argument("--project", metavar="NAME", help="only of this project"),
        complete_projects,
    )
    parser.add_argument("--mine", action="store_true", help="only my own")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.set_defaults(run=clear)


def show(arguments: argparse.Namespace) -> int:
    """Print the queue."""
    queue = open_api(arguments.scheduler).queue()
    if arguments.json:
        print_json(queue)
    elif arguments.quiet:
        sys.stdout.writelines(job["job_id"] + "\n" for job in queue["queued"])
    elif not queue["running"] and not queue["queued"]:
        sys.stdout.write("Nothing runs, nothing waits.\n")
    else:
        _print(queue, time.time())
    return 0


def clear(arguments: argparse.Namespace) -> int:
    """Stop the waiting jobs and tell how many they were."""
    api = open_api(arguments.scheduler or arguments.scheduler_config)
    user = config.user() if arguments.mine else None
    console = Console()
    if not arguments.yes and sys.stdin.isatty():
        waiting = api.jobs(status="queued", project=arguments.project, user=user, limit=_MOST)
        count = len(waiting["jobs"])
        if count and not confirmed(
            "Stop {}{}{}?".format(
                wording.counted(count, "waiting job"),
                " or more" if count == _MOST else "",
                "" if arguments.mine else ", whoever submitted " + ("it" if count == 1 else "them"),
            )
        ):
            console.info("The queue is as it was.")
            return 1
    cleared = api.clear_queue(arguments.project, user)["cleared"]
    console.info("Removed {} from the queue.".format(wording.counted(len(cleared), "job")))
    return 0


def _print(queue: Json, now: float) -> None:
    from foundations.cli.tables import short_ids

    names = short_ids([job["job_id"] for job in queue["running"] + queue["queued"]])
    if queue["running"]:
        _print_running(queue["running"], names, now)
    if queue["queued"]:
        if queue["running"]:
            sys.stdout.write("\n")
        _print_queued(queue["queued"], names, now)
    more = queue["total_queued"] - len(queue["queued"])
    if more > 0:
        sys.stdout.write("\n{} behind these.\n".format(wording.counted(more, "more job")))


def _print_running(jobs: List[Json], names: Dict[str, str], now: float) -> None:
    from foundations.cli.tables import Column, print_table

    columns = [
        Column("RUNNING"),
        Column("PROJECT", rank=2, least=10),
        Column("NAME", rank=3, least=10),
        Column("STATE"),
        Column("FOR"),
        Column("HOLDS", least=8),
        Column("NODE", rank=2, least=6),
        Column("USER", rank=1, least=6),
    ]
    # Why a cluster has not begun what it was given.
    waits = any(_waits(job) for job in jobs)
    if waits:
        columns.append(Column("WHY", least=34))
    print_table(
        columns,
        [
            [
                names[job["job_id"]],
                job["project"],
                job["name"] or "",
                job["state"] if waits else wording.state_cell(job),
                wording.duration(now - (job["started_at"] or job["submitted_at"])),
                wording.resources(job["resources"]),
                job.get("node") or "",
                job["user"],
                *([_waits(job)] if waits else []),
            ]
            for job in jobs
        ],
    )


def _waits(job: Json) -> str:
    return (job["message"] or "") if job["state"] == "starting" else ""


def _print_queued(jobs: List[Json], names: Dict[str, str], now: float) -> None:
    from foundations.cli.tables import Column, print_table

    columns = [
        Column("QUEUED"),
        Column("#", right=True),
        Column("PROJECT", rank=3, least=10),
        Column("NAME", rank=4, least=10),
        Column("WAITED"),
        Column("ASKS FOR", rank=2, least=8),
        Column("USER", rank=1, least=6),
        Column("WHY", least=34),
    ]
    print_table(
        columns,
        [
            [
                names[job["job_id"]],
                str(job["position"]),
                job["project"],
                job["name"] or "",
                wording.rough(now - job["submitted_at"]),
                wording.resources(job["resources"]),
                job["user"],
                _why(_yours(job), names),
            ]
            for job in jobs
        ],
    )


def _yours(job: Json) -> str:
    """The reason, as its reader says it."""
    reason, own = job["waits_because"], "{}'s limit".format(job["user"])
    return reason.replace(own, "your limit") if job["user"] == config.user() else reason


def _why(reason: str, names: Dict[str, str]) -> str:
    """The reason with IDs as short as in the first column."""
    return " ".join(names.get(word.strip(","), word) for word in reason.split(" "))
