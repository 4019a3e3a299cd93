"""`foundations stop` and `foundations delete`: jobs that are no longer wanted."""

from __future__ import annotations

import time

from foundations.cli.output import Console, confirmed
from foundations.cli.queries import act as bulk
from foundations.cli.queries import add_bulk
from foundations.cli.targets import (
    REFERENCES,
    add_jobs,
    do_each,
    find_each,
    for_each,
    new_parser,
    open_jobs,
)
from foundations.cli.wording import ago, counted
from foundations.client.follow import FINAL
from foundations.errors import NotFound, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    from foundations.client.api import Api

_STOP_EPILOG = (
    REFERENCES
    + """

examples:
  foundations stop scheduler 3f2a
  foundations stop last last~1 --wait
  foundations stop --query 'status:queued tag:sweep=a' --dry-run"""
)
_DELETE_EPILOG = (
    REFERENCES
    + """

examples:
  foundations delete job scheduler 3f2a
  foundations delete job last last~1 --yes
  foundations delete --query 'status:failed submitted < -30d' --dry-run"""
)
# Of jobs to be deleted the question names so many one by one.
_MOST_NAMED = 10


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add one of the two commands."""
    if name == "stop":
        parser = new_parser(
            subparsers,
            name,
            text,
            "Stop jobs, whether they wait or run.",
            _STOP_EPILOG,
            "foundations stop [options] [job] [SCHEDULER] JOB ...",
        )
        parser.add_argument("--wait", action="store_true", help="return once they have ended")
        parser.add_argument("--yes", "-y", action="store_true", help="with --query: do not ask")
        parser.set_defaults(run=stop)
    else:
        parser = new_parser(
            subparsers,
            name,
            text,
            "Delete finished jobs with their logs, results and artifacts.",
            _DELETE_EPILOG,
            "foundations delete [options] [job] [SCHEDULER] JOB ...",
        )
        parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
        parser.set_defaults(run=delete)
    add_bulk(parser)
    add_jobs(parser, "the jobs", "*")


def stop(arguments: argparse.Namespace) -> int:
    """Stop jobs."""
    if arguments.query is not None:
        return bulk(arguments, "stop", "told to stop", action="stop")
    api, references = _open(arguments)
    console = Console()
    stopping = []

    def act(job: Dict[str, Any]) -> None:
        job_id = job["job_id"]
        if job["state"] in FINAL:
            ended = "been stopped" if job["state"] == "stopped" else job["state"]
            raise Refused("Job '{}' has already {}.".format(job_id, ended))
        if api.stop(job_id)["state"] == "stopped":
            console.info("Job '{}' has been stopped.".format(job_id))
        else:
            console.info("Job '{}' is being stopped.".format(job_id))
            stopping.append(job_id)

    code = for_each(api, references, act)
    if arguments.wait:
        for job_id in stopping:
            _wait(api, job_id, console)
    return code


def delete(arguments: argparse.Namespace) -> int:
    """Delete finished jobs."""
    if arguments.query is not None:
        return bulk(arguments, "delete", "deleted", action="delete")
    api, references = _open(arguments)
    console = Console()
    jobs, code = find_each(api, references)
    if not jobs:
        return code
    if not arguments.yes and not confirmed(_question(jobs, time.time())):
        console.info("Nothing was deleted.")
        return 1

    def act(job: Dict[str, Any]) -> None:
        api.delete(job["job_id"])
        console.info("Job '{}' has been deleted.".format(job["job_id"]))

    return code | do_each(jobs, act)


def _question(jobs: List[Dict[str, Any]], now: float) -> str:
    told = []
    for job in jobs[:_MOST_NAMED]:
        name = " '{}'".format(job["name"]) if job["name"] else ""
        moment = ago(job["submitted_at"], now)
        told.append("{}{} of {}, {}".format(job["job_id"], name, job["project"], moment))
    if len(jobs) == 1:
        what = "job " + told[0] + ","
    else:
        if len(jobs) > len(told):
            told.append("and {}".format(counted(len(jobs) - len(told), "more job")))
        what = "{}:\n  {}\n".format(counted(len(jobs), "job"), "\n  ".join(told))
    return "Delete {} for good, with logs, results and artifacts?".format(what)


def _open(arguments: argparse.Namespace) -> Any:
    # `stop job scheduler ID` as the old documentation had it.
    if arguments.words[:1] == ["job"]:
        del arguments.words[0]
    return open_jobs(arguments)


def _wait(api: Api, job_id: str, console: Console) -> None:
    from foundations.cli.follow import ending
    from foundations.client.follow import follow

    try:
        for event, data in follow(api, job_id, tail=0):
            if event == "state" and data["state"] in ("completed", "failed", "stopped"):
                console.info("Job '{}' has {}.".format(job_id, ending(data)))
    except NotFound:
        return  # deleted meanwhile: it is over
