"""Queries on the command line: what chooses jobs by what they are and have come to."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from foundations.cli.output import Console, confirmed, printable
from foundations.cli.targets import (
    complete_projects,
    new_parser,
    open_api,
    running_api,
    set_completer,
)
from foundations.cli.wording import counted
from foundations.errors import ConfigError, InvalidQuery

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, Iterator, List

    from foundations.client.api import Api

SHEET = """\
A query is conditions joined by `and` (or only a space), `or`, `not` and
parentheses, and at its end an order:

  metrics.loss < 0.3 and (tag:baseline or params.lr > 0.01) and status:running
  sort:-metrics.loss

columns     id name project user state reason command message notes priority
            cpus gpus memory exit_code attempts submitted queued started
            finished duration
            params.NAME metrics.NAME tags.KEY; quotes around names with other
            signs: metrics."val loss"
a metric    metrics.loss is the last value; min(metrics.loss), max(), best(),
            last(), count()
compared    = != < <= > >=    `:` is equal whatever the case, in name,
            command, message and notes "contains"
            ~ !~ regular expression (RE2)
one of      state in (failed, stopped)    params.model not in (a, b)
there, not  has:params.lr    missing:metrics.loss    tag:KEY    tag:KEY=VALUE
values      0.3    text    "any text"    true    90s 15m 2h 1d 1w    8GB 512MB
times       2026-11-24    2026-11    "2026-11-24 18:30"    -7d    today
text        a word alone is looked for in names, commands, tags, parameters,
            notes and messages
order       sort:submitted    sort:-metrics.loss,name    `-` is downwards;
            jobs without the value come last

A condition on a value that a job does not have does not hold."""
_EPILOG = (
    SHEET
    + """

examples:
  foundations query
  foundations query 'metrics.loss < 0.3 sort:-metrics.loss'
  foundations list --query 'status:failed submitted > -7d'
  foundations stop --query 'tag:sweep=a' --dry-run"""
)
_MOST_SHOWN = 20


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command `query`."""
    parser = new_parser(subparsers, name, text, "What queries can say.", _EPILOG)
    parser.add_argument("text", nargs="?", metavar="QUERY", help="check it: how many jobs fit")
    set_completer(
        parser.add_argument("--project", metavar="NAME", help="among its jobs"), complete_projects
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the language in short, or what a query says."""
    if arguments.text is None:
        sys.stdout.write(SHEET + "\n")
        return 0
    with explained(arguments.text):
        page = open_api(arguments.scheduler).listing(
            project=arguments.project, query=arguments.text, limit=0
        )
    warn(page)
    sys.stdout.write("{} fit.\n".format(counted(page["total"], "job")))
    return 0


def add_query(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options that choose jobs by a query."""
    set_completer(
        parser.add_argument(
            "--query", metavar="QUERY", help="{}; see foundations query".format(what)
        ),
        complete_query,
    )
    set_completer(
        parser.add_argument("--project", metavar="NAME", help="with --query: only its jobs"),
        complete_projects,
    )


def add_bulk(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that do something with all jobs of a query."""
    add_query(parser, "the jobs that fit")
    parser.add_argument("--dry-run", action="store_true", help="with --query: only show them")


@contextmanager
def explained(text: str) -> Iterator[None]:
    """Show where in the query the mistake is."""
    try:
        yield
    except InvalidQuery as error:
        place = error.details.get("position", 0)
        line = text.replace("\n", " ")
        mark = " " * place + "^" * max(
            1, min(error.details.get("length", 1), len(text) + 1 - place)
        )
        error.hint = "{}\n  {}\n  {}".format(line, mark, error.hint)
        raise


def warn(page: Dict[str, Any]) -> None:
    """Say on stderr which columns of a query no job has."""
    for found in page["unknown"]:
        meant = found["suggestions"]
        sys.stderr.write(
            printable(
                "Foundations WARNING: no job has {}.{}\n".format(
                    found["column"], " Did you mean {}?".format(meant[0]) if meant else ""
                ),
                sys.stderr,
            )
        )


def selected(api: Api, arguments: argparse.Namespace, limit: int) -> Dict[str, Any]:
    """Return {total, jobs, unknown} of a query, `limit` jobs at most."""
    found = {}  # type: Dict[str, Any]
    jobs = []  # type: List[Dict[str, Any]]
    with explained(arguments.query):
        while not found or (len(jobs) < min(limit, found["total"]) and found["jobs"]):
            found = api.listing(
                project=arguments.project,
                query=arguments.query,
                offset=len(jobs),
                limit=min(1000, limit - len(jobs)),
            )
            jobs += found["jobs"]
    warn(found)
    return {**found, "jobs": jobs}


def act(arguments: argparse.Namespace, verb: str, done: str, **deed: Any) -> int:
    """Do something with all jobs of a query, once the user has seen how many they are."""
    if getattr(arguments, "words", None):
        raise ConfigError("Give either jobs or --query, not both.")
    api, console = open_api(arguments.scheduler), Console()
    asked = {"query": arguments.query, "project": arguments.project, **deed}
    with explained(arguments.query):
        would = api.bulk({**asked, "dry_run": True})
    ready = would["done_total"]
    if arguments.dry_run or not ready:
        _show(api, would, verb, console)
        return 0 if arguments.dry_run else 1
    question = "{} {}?".format(verb.capitalize(), counted(ready, "job"))
    if not getattr(arguments, "yes", False) and not confirmed(question):
        console.info("Nothing was done.")
        return 1
    with explained(arguments.query):
        outcome = api.bulk({**asked, "expected": would["matched"]})
    console.info("{} {} been {}.".format(
        counted(outcome["done_total"], "job"), "has" if outcome["done_total"] == 1 else "have", done
    ))  # fmt: skip
    for refused in outcome["refused"][:_MOST_SHOWN]:
        console.warning(refused["message"])
    return 0


def _show(api: Api, would: Dict[str, Any], verb: str, console: Console) -> None:
    console.info("This would {} {}.".format(verb, counted(would["done_total"], "job")))
    for job_id in would["done"][:_MOST_SHOWN]:
        job = api.job(job_id)
        console.info("  {} {} {}".format(job_id, job["project"], job["name"] or "").rstrip())
    more = would["done_total"] - _MOST_SHOWN
    if more > 0:
        console.info("  and {}".format(counted(more, "more job")))
    for refused in would["refused"][:_MOST_SHOWN]:
        console.warning(refused["message"])


def complete_query(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> List[str]:
    """Return what a query may go on with, for the shell; nothing where no server runs."""
    api = running_api(parsed_args)
    if api is None:
        return []
    found = api.complete_query(prefix, getattr(parsed_args, "project", None))
    return [prefix[: found["start"]] + word["text"] for word in found["words"]]
