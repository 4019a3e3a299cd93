"""`foundations rerun JOB`: the same code again, as it was or with other settings."""

from __future__ import annotations

from foundations import config
from foundations.cli import options
from foundations.cli.output import Console
from foundations.cli.targets import (
    REFERENCES,
    add_jobs,
    complete_projects,
    new_parser,
    open_job,
    set_completer,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict

_EPILOG = (
    REFERENCES
    + """
The code is the one that was submitted then, whatever the folder holds now; so
is the image, whatever its name stands for now, unless one is given.

examples:
  foundations rerun last
  foundations rerun --params '{"lr": 0.01}' --tag sweep=b 3f2a
  foundations rerun --num-gpus 2 --stream-job-logs False last~1
  foundations rerun --image pytorch/pytorch:2.4 last"""
)


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    usage = "foundations rerun [options] [SCHEDULER] JOB"
    parser = new_parser(subparsers, name, text, "Submit a job again.", _EPILOG, usage)
    add = parser.add_argument
    add_jobs(parser, "the job to submit again")
    set_completer(add("--project-name", help="another project"), complete_projects)
    add("--params", metavar="FILE|JSON", help="parameters that replace those of the same name")
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set in the job besides what was; may be repeated",
    )
    add(
        "--tag",
        action="append",
        default=[],
        metavar="KEY[=VALUE]",
        help="added to the tags it was submitted with; may be repeated",
    )
    add("--name", help="a name for people")
    add("--num-gpus", type=options.number, metavar="N", help="GPUs")
    add("--num-cpus", type=options.number, metavar="N", help="CPUs")
    add("--ram", metavar="SIZE", help="memory limit: gigabytes, or as in 512MB")
    add("--image", help="run in a container of this image; none: as a process")
    add("--priority", type=int, metavar="N", help="higher starts earlier")
    add("--timeout", metavar="TIME", help="longest time of running: seconds, or as in 90m, 2h")
    add("--retries", type=int, metavar="N", help="further attempts after one that failed")
    add(
        "--stream-job-logs",
        type=options.truth,
        default=True,
        metavar="BOOL",
        help="False: return once the job is accepted",
    )
    add("--json", action="store_true", help="print the job as JSON when it is over")
    add("--quiet", "-q", action="store_true", help="print the new job's ID and nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Submit the job again and stream unless told otherwise."""
    from foundations.cli.follow import see_through

    given = _given(arguments)
    api, old = open_job(arguments)
    console = Console(silent=arguments.quiet or arguments.json)
    job = api.rerun(old["job_id"], changes(old["spec"], given))
    console.info("Job '{}' submitted again with ID '{}'.".format(old["job_id"], job["job_id"]))
    return see_through(api, job, arguments, console)


def changes(spec: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    """Return the fields of `spec` that `given` changes; within dicts only what it names."""
    merged = {}
    for field, value in given.items():
        if isinstance(value, dict):
            value = {**(spec[field] or {}), **value}
        merged[field] = value
    return merged


def _given(arguments: argparse.Namespace) -> Dict[str, Any]:
    from foundations.contract.request import parse_duration, parse_memory

    asked = {
        "cpus": arguments.num_cpus,
        "cpu_limit": arguments.num_cpus,
        "gpus": arguments.num_gpus,
        "memory": None if arguments.ram is None else parse_memory(arguments.ram),
    }
    values = {
        "project": arguments.project_name,
        "name": arguments.name,
        "params": options.params(arguments.params),
        "tags": options.pairs(arguments.tag) or None,
        "environment": options.environment(arguments.env) or None,
        "resources": {name: item for name, item in asked.items() if item is not None} or None,
        "worker": options.image(arguments.image),
        "priority": arguments.priority,
        "timeout": None if arguments.timeout is None else parse_duration(arguments.timeout),
        "retries": arguments.retries,
        "user": config.user(),
    }
    return {name: item for name, item in values.items() if item is not None}
