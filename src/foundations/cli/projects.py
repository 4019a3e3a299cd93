"""`foundations projects`: the projects and their jobs."""

from __future__ import annotations

import sys
import time

from foundations.cli import wording
from foundations.cli.output import print_json
from foundations.cli.targets import new_parser, open_api

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict

    from foundations.cli.tables import Cell

_EPILOG = """\
examples:
  foundations projects
  foundations projects --json"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(subparsers, name, text, "List projects.", _EPILOG)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", "-q", action="store_true", help="print names alone")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the projects."""
    from foundations.cli.tables import Column, one_line, print_table

    projects = open_api(arguments.scheduler).projects()
    if arguments.json:
        print_json(projects)
        return 0
    if arguments.quiet:
        sys.stdout.writelines(one_line(project["name"]) + "\n" for project in projects)
        return 0
    if not projects and sys.stdout.isatty():
        sys.stdout.write("There are no projects yet.\n")
    if projects:
        now = time.time()
        columns = [Column("PROJECT", least=16), Column("JOBS", right=True)]
        columns += [
            Column(title, rank=rank, right=True)
            for title, rank in (
                ("QUEUED", 3),
                ("RUNNING", 2),
                ("COMPLETED", 5),
                ("FAILED", 4),
                ("STOPPED", 6),
            )
        ]
        columns.append(Column("LAST JOB", rank=1))
        print_table(
            columns,
            [
                [
                    project["name"],
                    str(sum(project["jobs"].values())),
                    _count(project["jobs"], wording.YELLOW, "queued"),
                    _count(project["jobs"], wording.CYAN, "starting", "running", "stopping"),
                    _count(project["jobs"], wording.GREEN, "completed"),
                    _count(project["jobs"], wording.RED, "failed"),
                    _count(project["jobs"], wording.DIM, "stopped"),
                    wording.ago(project["last_submitted_at"], now),
                ]
                for project in projects
            ],
        )
    return 0


def _count(jobs: Dict[str, int], colour: str, *states: str) -> Cell:
    number = sum(jobs.get(state, 0) for state in states)
    return (str(number), colour) if number else ""
