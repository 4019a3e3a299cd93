"""`foundations list`: the newest jobs."""

from __future__ import annotations

import sys
import time

from foundations.cli import wording
from foundations.cli.exporting import add_export, export, wanted_format
from foundations.cli.output import print_json
from foundations.cli.queries import complete_query, selected
from foundations.cli.targets import (
    complete_projects,
    new_parser,
    open_api,
    positive,
    set_completer,
)
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, Iterator, List, Optional

    from foundations.client.api import Api

_EPILOG = """\
examples:
  foundations list
  foundations list --project my_project --status failed,stopped
  foundations list --tag sweep=a --json
  foundations list --all --sort metric:loss
  foundations list --query 'metrics.loss < 0.3 sort:-metrics.loss'
  foundations list --project my_project --output jobs.csv
  foundations delete $(foundations list --all --quiet --status failed)"""
_DEFAULT_LIMIT = 20
_PAGE = 1000


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(subparsers, name, text, "List jobs, the newest first.", _EPILOG)
    add = parser.add_argument
    set_completer(
        add("--project", metavar="NAME", help="only jobs of this project"), complete_projects
    )
    add(
        "--status",
        "--state",
        action="append",
        metavar="STATE",
        help="queued, starting, running, stopping, completed, failed or stopped; several "
        "with commas",
    )
    add(
        "--sort",
        metavar="NAME[:desc]",
        help="by a metric, parameter or column, among the jobs shown; metric:NAME, param:NAME "
        "where a name is several of these",
    )
    add("--tag", action="append", metavar="KEY[=VALUE]", help="only jobs that have all of these")
    set_completer(
        add("--query", metavar="QUERY", help="only jobs that fit, in its order: foundations query"),
        complete_query,
    )
    add("--user", metavar="NAME", help="only jobs of this user")
    add(
        "--kind",
        choices=("scheduled", "executed"),
        help="only jobs that were submitted, or only those that were run by hand",
    )
    add(
        "--limit",
        "-n",
        type=positive,
        metavar="N",
        help="at most so many (default {}; with --format: all)".format(_DEFAULT_LIMIT),
    )
    add("--all", "-a", action="store_true", help="all of them")
    add("--json", action="store_true", help="print JSON")
    add("--quiet", "-q", action="store_true", help="print IDs alone")
    add_export(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the jobs that fit."""
    kind = wanted_format(arguments)
    if arguments.query is not None and (
        arguments.status or arguments.tag or arguments.user or arguments.kind
    ):
        raise ConfigError(
            "With --query everything but the project is said in the query.",
            "As in --query 'status:failed tag:sweep=a user:ada'",
        )
    api = open_api(arguments.scheduler)
    if kind is not None:
        return export(api, arguments, kind)
    return _show(api, arguments)


def _show(api: Api, arguments: argparse.Namespace) -> int:
    conditions = {
        "project": arguments.project,
        "user": arguments.user,
        "status": arguments.status,
        "tag": arguments.tag,
        "kind": arguments.kind,
    }
    if arguments.query is not None:
        jobs, more = _queried(api, arguments)
    elif arguments.all:
        jobs, more = list(_all(api, conditions)), False
    else:
        jobs, more = _some(api, conditions, arguments.limit or _DEFAULT_LIMIT)
    if arguments.sort and jobs:
        from foundations.cli.sorting import sorted_jobs

        jobs = sorted_jobs(jobs, arguments.sort, time.time())
    if arguments.json:
        print_json(jobs)
    elif arguments.quiet:
        sys.stdout.writelines(job["job_id"] + "\n" for job in jobs)
    elif jobs:
        _print(jobs, arguments.project)
        if more and sys.stdout.isatty():
            first = "first" if arguments.query else "newest"
            sys.stdout.write("\nThese are the {} {}; all of them: --all\n".format(first, len(jobs)))
    elif sys.stdout.isatty():
        fitting = any(conditions.values()) or arguments.query
        sys.stdout.write("No jobs fit.\n" if fitting else "There are no jobs yet.\n")
    return 0


def _queried(api: Api, arguments: argparse.Namespace) -> Any:
    limit = sys.maxsize if arguments.all else arguments.limit or _DEFAULT_LIMIT
    found = selected(api, arguments, limit)
    return found["jobs"], found["total"] > len(found["jobs"])


def _some(api: Api, conditions: Dict[str, Any], limit: int) -> Any:
    jobs = []  # type: List[Dict[str, Any]]
    cursor = None
    while len(jobs) <= limit:
        # One more than is shown tells whether there are more.
        page = api.jobs(before=cursor, limit=min(_PAGE, limit + 1 - len(jobs)), **conditions)
        jobs.extend(page["jobs"])
        cursor = page["next"]
        if cursor is None:
            break
    return jobs[:limit], len(jobs) > limit


def _all(api: Api, conditions: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    cursor = None
    while True:
        page = api.jobs(before=cursor, limit=_PAGE, **conditions)
        yield from page["jobs"]
        cursor = page["next"]
        if cursor is None:
            return


def _print(jobs: List[Dict[str, Any]], project: Optional[str]) -> None:
    from foundations.cli.tables import Column, print_table, short_ids

    now = time.time()
    names = short_ids([job["job_id"] for job in jobs])
    # On a narrow terminal what is the same in every row goes first.
    one_user = len({job["user"] for job in jobs}) == 1
    columns = [
        Column("JOB"),
        Column("PROJECT", rank=10 if project else 2, least=10),
        Column("NAME", rank=5, least=10),
        Column("KIND", rank=9),
        Column("STATE"),
        Column("SUBMITTED"),
        Column("DURATION", rank=1),
        Column("USER", rank=11 if one_user else 4, least=6),
        Column("METRICS", rank=6, least=16),
        Column("PARAMS", rank=7, least=16),
        Column("TAGS", rank=8, least=10),
    ]
    print_table(
        columns,
        [
            [
                names[job["job_id"]],
                job["project"],
                job["name"] or "",
                wording.kind(job),
                wording.state_cell(job),
                wording.ago(job["submitted_at"], now),
                wording.duration(wording.running_time(job, now)),
                job["user"],
                wording.pairs({name: point["value"] for name, point in job["metrics"].items()}),
                wording.pairs(job["params"]),
                " ".join(key + ("=" + text if text else "") for key, text in job["tags"].items()),
            ]
            for job in jobs
        ],
    )
