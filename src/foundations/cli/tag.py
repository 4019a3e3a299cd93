"""`foundations tag`: tags of jobs, set and removed afterwards."""

from __future__ import annotations

from foundations.cli import options
from foundations.cli.output import Console
from foundations.cli.queries import act, add_bulk
from foundations.cli.targets import (
    REFERENCES,
    complete_jobs,
    for_each,
    new_parser,
    open_jobs,
    set_completer,
)
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict

_EPILOG = (
    REFERENCES
    + """

examples:
  foundations tag last --set best --set sweep=a
  foundations tag last last~1 --remove best
  foundations tag --query 'metrics.loss < 0.3' --set good --dry-run"""
)


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    usage = "foundations tag [options] [SCHEDULER] JOB ..."
    parser = new_parser(subparsers, name, text, "Set or remove tags of jobs.", _EPILOG, usage)
    add = parser.add_argument
    set_completer(add("words", nargs="*", metavar="JOB", help="the jobs"), complete_jobs)
    add("--set", action="append", default=[], metavar="KEY[=VALUE]", help="may be repeated")
    add("--remove", action="append", default=[], metavar="KEY", help="may be repeated")
    add_bulk(parser)
    add("--yes", "-y", action="store_true", help="with --query: do not ask")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Set and remove tags."""
    tags, keys = options.pairs(arguments.set), arguments.remove
    if not tags and not keys:
        raise ConfigError("There is nothing to do.", "Give --set KEY=VALUE or --remove KEY.")
    if arguments.query is not None:
        code = act(arguments, "tag", "tagged", action="tag", tags=tags) if tags else 0
        if keys and not code:
            code = act(arguments, "untag", "untagged", action="untag", keys=keys)
        return code
    api, references = open_jobs(arguments)
    console = Console()

    def change(job: Dict[str, Any]) -> None:
        api.edit(job["job_id"], {"tags": tags, "untag": keys})
        console.info("Job '{}' has been tagged.".format(job["job_id"]))

    return for_each(api, references, change)
