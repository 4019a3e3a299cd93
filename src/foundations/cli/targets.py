"""How commands are told which jobs they are about: `[SCHEDULER] JOB...`."""

from __future__ import annotations

import argparse
import os
import re

from foundations import config
from foundations.cli.output import error_line, error_text
from foundations.client.api import Api
from foundations.client.server import connect
from foundations.contract.ids import is_job_id
from foundations.errors import (
    Ambiguous,
    ConfigError,
    FoundationsError,
    NotFound,
    ServerError,
    Unreachable,
    VersionMismatch,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

# An ID, the beginning of one, or the newest job but N.
_REFERENCE = re.compile(r"[0-9a-fA-F-]+|last(~\d+)?")
REFERENCES = """\
JOB is an ID, the beginning of one, `last`, `last~2` for the second job before
the last, or a name (submit --name) that only one job has.
SCHEDULER may be left out: it is FOUNDATIONS_SCHEDULER then, or this machine."""


def new_parser(
    subparsers: Any, name: str, text: str, description: str, epilog: str, usage: str = ""
) -> argparse.ArgumentParser:
    """Return the parser of a command, with what every command has."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description=description,
        epilog=epilog,
        **({"usage": usage} if usage else {}),
    )  # type: argparse.ArgumentParser
    parser.add_argument("--scheduler", metavar="NAME", help="default: this machine")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


def add_jobs(parser: argparse.ArgumentParser, text: str, nargs: str = "+") -> None:
    """Add the words that name a scheduler and jobs."""
    action = parser.add_argument("words", nargs=nargs, metavar="JOB", help=text)
    set_completer(action, complete_jobs)


def set_completer(action: argparse.Action, completer: Callable[..., Any]) -> None:
    """Let the shell complete an argument."""
    action.completer = completer  # type: ignore[attr-defined]


def open_api(name: Optional[str]) -> Api:
    """Connect to a scheduler's server; one that has to be started here is told of on stderr."""
    scheduler = config.scheduler(name or config.default_scheduler(), os.getcwd())
    return connect(scheduler, lambda message: error_text("INFO", message))


def before_job(arguments: argparse.Namespace) -> str:
    """Return what has to stand before a job's ID in a command that is suggested: `aws `, or ''."""
    name = getattr(arguments, "scheduler", None)
    return name + " " if name and name != config.default_scheduler() else ""


def open_jobs(arguments: argparse.Namespace) -> Tuple[Api, List[str]]:
    """Connect to the server that the command's words name, and return what names jobs."""
    words = [word for word in arguments.words if word]
    name = arguments.scheduler
    if name is None and words and _names_scheduler(words):
        name = arguments.scheduler = words.pop(0)
    if not words:
        raise ConfigError("No job was named.", "Give an ID, or `last`: see foundations list")
    api = open_api(name)
    if name is None and len(words) > 1 and not _REFERENCE.fullmatch(words[0]):
        _check_named(api, words[0])
    return api, words


def open_job(arguments: argparse.Namespace) -> Tuple[Api, Dict[str, Any]]:
    """Connect, and return everything about the one job that is named."""
    api, references = open_jobs(arguments)
    if len(references) > 1:
        raise ConfigError(
            "One job at a time; these are {}: {}.".format(len(references), " ".join(references))
        )
    return api, find_job(api, references[0])


def _check_named(api: Api, word: str) -> None:
    """Refuse what is neither: a scheduler mistyped must not turn into jobs of this machine."""
    try:
        api.job(word)
    except Ambiguous:
        return  # said where the job is looked up
    except NotFound as error:
        known = ", ".join(item.name for item in config.schedulers())
        raise ConfigError(
            "'{}' is neither a scheduler nor a job.".format(word),
            "Schedulers: {}. The jobs: foundations list".format(known),
        ) from error


def find_job(api: Api, reference: str) -> Dict[str, Any]:
    """Return everything about a job. Raises NotFound or Ambiguous."""
    job = api.job(reference)
    if not is_job_id(str(job.get("job_id"))):
        # It becomes the name of a folder, among other things.
        raise ServerError("The server answered with a job that has no proper ID.")
    return job


def for_each(api: Api, references: List[str], act: Callable[[Dict[str, Any]], None]) -> int:
    """Do something with several jobs, each for itself; return 1 where something failed.

    All are looked up first: what `last~1` means changes while jobs are deleted.
    """
    jobs, code = find_each(api, references)
    return code | do_each(jobs, act)


def find_each(api: Api, references: List[str]) -> Tuple[List[Dict[str, Any]], int]:
    """Return the jobs that are there, each once, and 1 where one is not, which is said."""
    jobs = {}  # type: Dict[str, Dict[str, Any]]
    code = 0

    def look_up(reference: str) -> None:
        job = find_job(api, reference)
        jobs[job["job_id"]] = job

    for reference in references:
        code |= _attempt(look_up, reference)
    return list(jobs.values()), code


def do_each(jobs: List[Dict[str, Any]], act: Callable[[Dict[str, Any]], None]) -> int:
    """Do something with several jobs, each for itself; return 1 where something failed."""
    code = 0
    for job in jobs:
        code |= _attempt(act, job)
    return code


def positive(text: str) -> int:
    """Return a whole number above 0, for argparse."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError("'{}' is not a number above 0".format(text))
    return int(text)


def complete_jobs(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> Dict[str, str]:
    """Return job IDs and what they are, for the shell; nothing where no server runs."""
    api = running_api(parsed_args)
    jobs = api.jobs(limit=200)["jobs"] if api else []
    found = {"last": "the job submitted last"}
    for job in jobs:
        label = [job["project"], job["name"] or "", job["state"]]
        found[job["job_id"]] = " ".join(word for word in label if word)
    return {word: text for word, text in found.items() if word.startswith(prefix)}


def complete_projects(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> List[str]:
    """Return project names for the shell; nothing where no server runs."""
    api = running_api(parsed_args)
    names = [project["name"] for project in api.projects()] if api else []
    return [name for name in names if name.startswith(prefix)]


def running_api(parsed_args: argparse.Namespace) -> Optional[Api]:
    """Connect for the shell's completion; None where no server runs: it is no time for errors."""
    try:
        name = getattr(parsed_args, "scheduler", None) or config.default_scheduler()
        scheduler = config.scheduler(name, os.getcwd())
        state = config.server_state(config.home()) if scheduler.is_local else None
        url = state["url"] if state else scheduler.url
        api = Api.of_user(url)
        api.connection.open()
    except FoundationsError:
        return None  # pressing the tabulator is no time for errors
    return api


def _names_scheduler(words: List[str]) -> bool:
    # Alone, what looks like a job is one.
    if len(words) == 1 and _REFERENCE.fullmatch(words[0]):
        return False
    return config.is_scheduler(words[0], os.getcwd())


def _attempt(act: Callable[[Any], None], target: Any) -> int:
    try:
        act(target)
    except (Unreachable, VersionMismatch):
        raise  # the next job would fare no better
    except ServerError as error:
        error_line(error)
        return 1
    return 0
