"""`foundations diff JOB JOB`: what two jobs do not have in common."""

from __future__ import annotations

import sys

from foundations.cli import wording
from foundations.cli.output import paint, print_json
from foundations.cli.targets import REFERENCES, add_jobs, find_job, new_parser, open_jobs
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    Json = Dict[str, Any]

_EPILOG = (
    REFERENCES
    + """

The exit code is 0 whether or not the jobs differ.

examples:
  foundations diff last~1 last
  foundations diff --no-code 3f2a 77b0
  foundations diff last~1 last --json"""
)
_SECTIONS = (
    ("params", "Parameters"),
    ("spec", "Submitted as"),
    ("state", "State"),
    ("metrics", "Metrics"),
    ("packages", "Packages"),
    ("environment", "Environment"),
)


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers,
        name,
        text,
        "Show how two jobs differ.",
        _EPILOG,
        "foundations diff [options] [SCHEDULER] JOB JOB",
    )
    add_jobs(parser, "the two jobs")
    parser.add_argument("--no-code", action="store_true", help="leave the code out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences."""
    api, references = open_jobs(arguments)
    if len(references) != 2:
        raise ConfigError(
            "Two jobs are compared; {} given.".format(
                "one was" if len(references) == 1 else "{} were".format(len(references))
            ),
            "For example: foundations diff last~1 last",
        )
    first, second = (find_job(api, reference)["job_id"] for reference in references)
    difference = api.diff(first, second)
    if arguments.no_code:
        del difference["files"]
    if arguments.json:
        print_json(difference)
    else:
        _print(difference)
    return 0


def _print(difference: Json) -> None:
    from foundations.cli.tables import Column, print_table, print_title, short_ids

    names = short_ids(difference["jobs"])
    shown = [names[job_id] for job_id in difference["jobs"]]
    sys.stdout.write(paint("Jobs {} and {}".format(*shown), wording.BOLD, sys.stdout) + "\n")
    files = difference.get("files") or []
    if files:
        print_title("Code")
    for file in files:
        _print_file(file)
    for section, title in _SECTIONS:
        if difference[section] is None:
            print_title(title)
            sys.stdout.write("  not known yet: one of the jobs has not run\n")
        elif difference[section]:
            print_title(title)
            columns = [Column("NAME", least=12)] + [Column(name, least=12) for name in shown]
            rows = [
                [name] + [_value(item) for item in values]
                for name, values in difference[section].items()
            ]
            print_table(columns, rows, indent=2)
    if not files and all(difference[section] == {} for section, _ in _SECTIONS):
        alike = "They do not differ." if "files" in difference else "Code aside they do not differ."
        sys.stdout.write(alike + "\n")


def _print_file(file: Json) -> None:
    from foundations.cli.tables import one_line

    if not file["diff"]:
        # Nothing to compare: binary, too large, empty, or only its mode or kind changed.
        text = "{}: {}".format(one_line(file["path"]), file["change"])
        sys.stdout.write(paint(text, wording.YELLOW, sys.stdout) + "\n")
        return
    for line in _lines(file["diff"]):
        sys.stdout.write(line + "\n")


def _lines(diff: str) -> List[str]:
    from foundations.cli.output import printable

    painted = []
    for number, line in enumerate(diff.split("\n")):
        colour = {"+": wording.GREEN, "-": wording.RED, "@": wording.CYAN}.get(line[:1], "")
        if number < 2:
            colour = wording.BOLD
        clean = printable(line, sys.stdout)
        painted.append(paint(clean, colour, sys.stdout) if colour else clean)
    return painted


def _value(anything: Any) -> str:
    return "–" if anything is None else wording.value(anything)
