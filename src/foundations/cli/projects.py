"""`foundations projects`: the projects and their jobs, their names and ends."""

from __future__ import annotations

import sys
import time

from foundations.cli import wording
from foundations.cli.output import Console, confirmed, print_json
from foundations.cli.targets import complete_projects, new_parser, open_api, set_completer
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    from foundations.cli.tables import Cell

_EPILOG = """\
examples:
  foundations projects
  foundations projects --json
  foundations projects rename vision eyes
  foundations projects archive eyes
  foundations projects delete eyes"""


# What can be done with a project, and how many names it takes.
_ACTIONS = {"rename": 2, "archive": 1, "unarchive": 1, "delete": 1}


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    usage = (
        "foundations projects [options]\n       foundations projects rename NAME NEW_NAME\n"
        "       foundations projects archive|unarchive|delete NAME"
    )
    parser = new_parser(subparsers, name, text, "List or change projects.", _EPILOG, usage)
    action = parser.add_argument(
        "words", nargs="*", metavar="ACTION NAME", help="rename, archive, unarchive or delete"
    )
    set_completer(action, complete_projects)
    parser.add_argument("--archived", action="store_true", help="list archived ones, too")
    parser.add_argument("--yes", "-y", action="store_true", help="delete: do not ask")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", "-q", action="store_true", help="print names alone")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the projects."""
    from foundations.cli.tables import one_line

    if arguments.words:
        return _change(arguments)
    projects = open_api(arguments.scheduler).projects("all" if arguments.archived else None)
    if arguments.json:
        print_json(projects)
        return 0
    if arguments.quiet:
        sys.stdout.writelines(one_line(project["name"]) + "\n" for project in projects)
        return 0
    if not projects and sys.stdout.isatty():
        sys.stdout.write("There are no projects yet.\n")
    if projects:
        _print(projects, time.time())
    return 0


def _print(projects: List[Dict[str, Any]], now: float) -> None:
    from foundations.cli.tables import Column, print_table

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


def _change(arguments: argparse.Namespace) -> int:
    action, names = arguments.words[0], arguments.words[1:]
    if action not in _ACTIONS or len(names) != _ACTIONS[action]:
        raise ConfigError(
            "'{}' is not what can be done with projects.".format(" ".join(arguments.words)),
            "rename NAME NEW_NAME, archive NAME, unarchive NAME, delete NAME",
        )
    api, console = open_api(arguments.scheduler), Console()
    if action == "delete":
        jobs = [p for p in api.projects("all") if p["name"] == names[0]]
        count = sum(jobs[0]["jobs"].values()) if jobs else 0
        question = "Delete the project '{}' with {} for good?".format(
            names[0], wording.counted(count, "job")
        )
        if not arguments.yes and not confirmed(question):
            console.info("Nothing was deleted.")
            return 1
        deleted = api.delete_project(names[0])["deleted"]
        console.info(
            "Project '{}' and {} of it are deleted.".format(
                names[0], wording.counted(deleted, "job")
            )
        )
    elif action == "rename":
        api.change_project(names[0], {"name": names[1]})
        console.info("Project '{}' is called '{}' now.".format(*names))
    else:
        api.change_project(names[0], {"archived": action == "archive"})
        console.info("Project '{}' has been {}d.".format(names[0], action))
    return 0


def _count(jobs: Dict[str, int], colour: str, *states: str) -> Cell:
    number = sum(jobs.get(state, 0) for state in states)
    return (str(number), colour) if number else ""
