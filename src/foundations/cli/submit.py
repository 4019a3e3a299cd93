"""`foundations submit`: a folder becomes a job, and its log comes back."""

from __future__ import annotations

import argparse
import os
import sys
import time

from foundations import config
from foundations.cli import options
from foundations.cli.output import Console, error_text, print_json
from foundations.client.server import connect
from foundations.contract.request import check_request
from foundations.errors import ConfigError
from foundations.sending import Progress, Submission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from foundations.bundle.scan import Listing
    from foundations.errors import Unreachable

_EPILOG = """\
Options come before SCHEDULER; everything after the folder belongs to the
command.

examples:
  foundations submit scheduler . main.py --epochs 3
  foundations submit --num-gpus 1 --ram 16 --timeout 2h scheduler . train.py
  foundations submit --params '{"lr": 0.1}' --tag sweep=a scheduler . main.py
  foundations submit --entrypoint bash scheduler . run.sh
  foundations submit --image pytorch/pytorch scheduler . train.py
  foundations submit --stream-job-logs False --quiet scheduler . main.py

exit codes: 0 the job completed (not streamed: was accepted), 1 it failed or
was refused, 130 streaming was ended with Ctrl-C (the job goes on)."""

# A bar appears only for work that takes longer than this many seconds.
_PATIENCE = 0.5


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Submit a folder as a job.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--entrypoint", help="what the command is given to instead of Python")
    add("--project-name", help="default: from job.config.yaml, else the folder's name")
    add("--num-gpus", type=options.number, metavar="N", help="GPUs (default 0)")
    add("--num-cpus", type=options.number, metavar="N", help="CPUs (default 1)")
    add("--ram", metavar="SIZE", help="memory limit: gigabytes, or as in 512MB")
    add("--image", help="run in a container of this image; none: as a process")
    add("--params", metavar="FILE|JSON", help="what foundations.load_parameters() returns")
    add("--name", help="a name for people, shown beside the ID")
    add("--priority", type=int, metavar="N", help="higher starts earlier (default 0)")
    add("--timeout", metavar="TIME", help="longest time of running: seconds, or as in 90m, 2h")
    add("--retries", type=int, metavar="N", help="further attempts after one that failed")
    add("--tag", action="append", default=[], metavar="KEY[=VALUE]", help="may be repeated")
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set in the job; without =VALUE taken from here; may be repeated",
    )
    _add_destination(add)
    add(
        "--stream-job-logs",
        type=options.truth,
        default=True,
        metavar="BOOL",
        help="False: return once the job is accepted",
    )
    add("--dry-run", action="store_true", help="show what would be sent, send nothing")
    add("--json", action="store_true", help="print the job as JSON when it is over")
    add("--quiet", "-q", action="store_true", help="print the job's ID and nothing else")
    add("--debug", action="store_true", help=argparse.SUPPRESS)
    add("scheduler_config", metavar="SCHEDULER", help="`scheduler` is this machine")
    add("job_directory", metavar="JOB_DIR", help="the folder to send")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="script and arguments")
    parser.set_defaults(run=run)


def _add_destination(add: Any) -> None:
    add("--num-nodes", type=int, metavar="N", help="nodes that run it at once (default 1)")
    add("--executor", metavar="NAME", help="where to run, where the server has several")
    for key in ("partition", "account", "qos", "constraint"):
        add("--" + key, metavar="NAME", help="Slurm's, as in sbatch --{}".format(key))
    add(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="one more of sbatch, as in --sbatch=--exclusive; may be repeated",
    )
    add(
        "--no-pilot",
        dest="pilot",
        action="store_const",
        const=False,
        help="a batch job of its own, not in a pilot among others",
    )
    add(
        "--node-label",
        action="append",
        default=[],
        metavar="LABEL=VALUE",
        help="Ray's, that the node must have; may be repeated",
    )
    add(
        "--node-resource",
        action="append",
        default=[],
        metavar="NAME[=N]",
        help="so much of a resource of Ray's nodes; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Submit, and stream unless told otherwise."""
    folder = os.path.abspath(arguments.job_directory)
    progress = Reporter(arguments.quiet or arguments.json)
    given = _given(arguments)
    check_request(given, _option)
    scheduler = config.scheduler(arguments.scheduler_config, folder)
    submission = Submission(folder, given, progress, scheduler.worker)
    progress.console.set_level(_level(folder))
    spec = submission.spec
    if not any(spec["command"]) and not spec["entrypoint"] and not _has_image(spec):
        raise ConfigError(
            "No command was given.",
            "Name the script to run: foundations submit {} {} main.py".format(
                arguments.scheduler_config, arguments.job_directory
            ),
        )
    _warn_of_missing_script(folder, spec, progress.console)
    if arguments.dry_run:
        return _dry_run(submission)
    api = connect(scheduler, progress.console.info)
    job = submission.send(api)
    from foundations.cli.follow import see_through

    return see_through(api, job, arguments, progress.console)


def _dry_run(submission: Submission) -> int:
    bundle = submission.bundle()
    print_json(
        {
            "spec": submission.spec,
            "files": [
                {"path": path, "kind": kind, "size": size} for path, kind, _, size in bundle.entries
            ],
            "total_size": bundle.total_size,
        }
    )
    return 0


class Reporter(Progress):
    """Prints what happens, and a bar for what takes a while."""

    def __init__(self, silent: bool) -> None:
        self.console = Console(silent=silent)
        self._bar = None  # type: Any
        self._begun = 0.0

    def started(self) -> None:
        """Say that it begins."""
        self.console.info("Job submission started. Ctrl-C to cancel.")

    def remark(self, text: str) -> None:
        """Warn."""
        self.console.warning(text)

    def preparing(self, folder: str) -> None:
        """Say which folder it is."""
        self.console.info(
            "Preparing to bundle contents of {} for execution. Estimating bundle size.".format(
                folder
            )
        )

    def sized(self, listing: Listing) -> None:
        """Say how large it is."""
        from foundations.bundle.scan import human_size, size_warning

        count = listing.count
        self.console.info(
            "Bundle size is about {} in {} file{}.".format(
                human_size(listing.total_size), count, "" if count == 1 else "s"
            )
        )
        warning = size_warning(listing.total_size, listing.largest(3))
        if warning:
            self.console.warning(warning)
        self.console.info("Bundling job contents.")
        self._begun = time.monotonic()

    def reading(self, done: int, total: int) -> None:
        """Show the bar."""
        self._show("Reading", done, total)

    def sending(self, done: int, total: int) -> None:
        """Show the bar."""
        self._show("Sending", done, total)

    def lost(self, error: Unreachable) -> None:
        """Say that it goes on where it stopped."""
        self.close()
        error_text("WARNING", "{} Trying again, to go on where it stopped.".format(error.message))

    def submitted(self, job: Dict[str, Any]) -> None:
        """Say the job's ID."""
        self.close()
        self.console.info("Job submitted with ID '{}'.".format(job["job_id"]))

    def _show(self, what: str, done: int, total: int) -> None:
        if self.console.silent or not sys.stderr.isatty():
            return
        if self._bar is None:
            if time.monotonic() - self._begun < _PATIENCE or done >= total:
                return
            from foundations.cli.tables import ByteBar

            self._bar = ByteBar()
        self._bar.show(what, done, total)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _given(arguments: argparse.Namespace) -> Dict[str, Any]:
    return {
        "project_name": arguments.project_name,
        "entrypoint": arguments.entrypoint,
        "num_gpus": arguments.num_gpus,
        "num_cpus": arguments.num_cpus,
        "num_nodes": arguments.num_nodes,
        "ram": arguments.ram,
        "worker": options.image(arguments.image),
        "params": options.params(arguments.params),
        "name": arguments.name,
        "priority": arguments.priority,
        "timeout": arguments.timeout,
        "retries": arguments.retries,
        "tags": options.pairs(arguments.tag) or None,
        "environment": options.environment(arguments.env) or None,
        "command": arguments.command or None,
        "executor": arguments.executor,
        "partition": arguments.partition,
        "account": arguments.account,
        "qos": arguments.qos,
        "constraint": arguments.constraint,
        "sbatch": arguments.sbatch or None,
        "pilot": arguments.pilot,
        "node_labels": options.pairs(arguments.node_label) or None,
        "node_resources": options.amounts(arguments.node_resource) or None,
    }


def _option(key: str) -> str:
    """The option by which something was said, for a message."""
    singular = {"node_labels": "node_label", "node_resources": "node_resource", "tags": "tag"}
    return "--" + singular.get(key, key).replace("_", "-")


def _warn_of_missing_script(folder: str, spec: Dict[str, Any], console: Console) -> None:
    script = spec["command"][0] if spec["command"] else ""
    if spec["entrypoint"] or not script or script.startswith("-"):
        return
    if _has_image(spec) and not script.endswith(".py"):
        return  # a program of the image
    if not os.path.exists(os.path.join(folder, script)):
        console.warning("'{}' is not in {}: the job will not find it.".format(script, folder))


def _has_image(spec: Dict[str, Any]) -> bool:
    """Whether the job runs in an image, which may have a command of its own."""
    return spec["worker"].get("image", "none") != "none"


def _level(folder: str) -> str:
    return str(config.job_config(folder).get("log_level") or "INFO").upper()
