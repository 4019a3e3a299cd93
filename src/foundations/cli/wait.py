"""`foundations wait JOB...`: until jobs are over."""

from __future__ import annotations

import time

from foundations.cli.output import Console
from foundations.cli.targets import REFERENCES, add_jobs, find_job, new_parser, open_jobs
from foundations.client.follow import FINAL
from foundations.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, Optional

    from foundations.client.api import Api

_EPILOG = (
    REFERENCES
    + """

exit codes: 0 all of them completed, 1 one failed, was stopped or deleted,
124 time is up.

examples:
  foundations wait last
  foundations wait --timeout 2h 3f2a 77b0
  ID=$(foundations submit --quiet --stream-job-logs False scheduler . main.py)
  foundations wait $ID && foundations get artifacts $ID"""
)
TIME_IS_UP = 124


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers,
        name,
        text,
        "Wait until all the jobs are over.",
        _EPILOG,
        "foundations wait [options] [SCHEDULER] JOB ...",
    )
    add_jobs(parser, "the jobs")
    parser.add_argument("--timeout", metavar="TIME", help="seconds, or as in 90m, 2h")
    parser.add_argument("--quiet", "-q", action="store_true", help="say nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Wait for the jobs."""
    from foundations.contract.request import parse_duration

    limit = None if arguments.timeout is None else parse_duration(arguments.timeout)
    end = None if limit is None else time.monotonic() + limit
    api, references = open_jobs(arguments)
    job_ids = [find_job(api, reference)["job_id"] for reference in references]
    console = _Quiet() if arguments.quiet else Console()
    code = 0
    for job_id in dict.fromkeys(job_ids):
        try:
            job = wait_for(api, job_id, end)
        except TimeoutError:
            console.error("Time is up: job '{}' is not over.".format(job_id))
            return TIME_IS_UP
        _tell(job, console)
        if job["state"] != "completed":
            code = 1
    return code


def wait_for(api: Api, job_id: str, end: Optional[float]) -> Dict[str, Any]:
    """Return the job once it is over. Raises TimeoutError at `end`, a time of time.monotonic()."""
    from foundations.client.follow import follow

    left = None if end is None else max(0.0, end - time.monotonic())
    job = {"job_id": job_id, "state": "deleted"}  # type: Dict[str, Any]
    try:
        for event, data in follow(api, job_id, tail=0, timeout=left):
            if event == "state" and data["state"] in FINAL:
                job = data
    except NotFound:
        pass  # deleted before we looked
    return job


def _tell(job: Dict[str, Any], console: Console) -> None:
    from foundations.cli.follow import ending

    job_id = job["job_id"]
    if job["state"] == "completed":
        console.info("Job '{}' has completed.".format(job_id))
    elif job["state"] == "deleted":
        console.error("Job '{}' has been deleted.".format(job_id))
    else:
        console.error("Job '{}' has {}.".format(job_id, ending(job)))


class _Quiet(Console):
    def _line(self, level: str, message: str) -> None:
        """The exit code says it all."""
