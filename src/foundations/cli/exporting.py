"""`foundations list --format csv`: tables of jobs for other programs, as the server writes them."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from foundations.cli.queries import explained
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO, Iterator, Optional

    from foundations.client.api import Api

FORMATS = ("table", "csv", "json", "jsonl", "parquet")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the options that make a file of the jobs."""
    add = parser.add_argument
    add(
        "--format",
        choices=FORMATS,
        help="a file for other programs instead: all jobs that fit, a column for each parameter, "
        "metric and tag (default: what --output ends in)",
    )
    add(
        "--columns",
        metavar="NAMES",
        help="of that file, with commas: id,params.lr,metrics.loss,min(metrics.loss),tags.KEY",
    )
    add("--output", "-o", metavar="FILE", help="where it goes (default: stdout)")


def wanted_format(arguments: argparse.Namespace) -> Optional[str]:
    """Return the format of the file that is asked for; None: a table for people."""
    if arguments.format is None and arguments.output:
        ending = os.path.splitext(arguments.output)[1][1:].lower()
        if ending not in FORMATS[1:]:
            raise ConfigError(
                "'{}' does not end in a format.".format(arguments.output),
                "Give --format: {}.".format(", ".join(FORMATS[1:])),
            )
        return ending
    if arguments.format not in (None, "table"):
        return str(arguments.format)
    if arguments.output or arguments.columns:
        raise ConfigError("--output and --columns are for files.", "Give --format csv.")
    return None


def export(api: Api, arguments: argparse.Namespace, kind: str) -> int:
    """Write the jobs that fit as a file."""
    if arguments.sort:
        raise ConfigError(
            "--sort is for the table.", "Say it in the query: --query 'sort:-metrics.loss'."
        )
    if arguments.json or arguments.quiet:
        raise ConfigError("--format goes without --json and --quiet.")
    if kind == "parquet" and arguments.output is None and sys.stdout.isatty():
        raise ConfigError("Parquet is not for terminals.", "Give --output jobs.parquet.")
    text = arguments.query if arguments.query is not None else _query(arguments)
    columns = [name.strip() for name in (arguments.columns or "").split(",") if name.strip()]
    with explained(text):
        chunks = api.export(
            project=arguments.project,
            query=text or None,
            columns=columns or None,
            limit=arguments.limit,
            format=kind,
        )
    with _destination(arguments.output) as file:
        for chunk in chunks:
            file.write(chunk)
    return 0


def _query(arguments: argparse.Namespace) -> str:
    """Return the query that says the same as the other options."""
    states = [state for text in arguments.status or () for state in text.split(",") if state]
    conditions = ["state in ({})".format(", ".join(map(_quoted, states)))] if states else []
    for tag in arguments.tag or ():
        key, equals, value = tag.partition("=")
        conditions.append("tag:" + _quoted(key) + (equals and "=" + _quoted(value)))
    for name in ("user", "kind"):
        value = getattr(arguments, name)
        if value:
            conditions.append("{} = {}".format(name, _quoted(value)))
    return " and ".join(conditions)


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


@contextmanager
def _destination(path: Optional[str]) -> Iterator[BinaryIO]:
    """Yield a file that is there when it is whole, and not before."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = "{}.{}.partial".format(path, os.getpid())
    try:
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        raise ConfigError("{} cannot be written: {}.".format(path, error.strerror)) from error
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
