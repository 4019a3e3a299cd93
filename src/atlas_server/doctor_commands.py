"""`atlas-server doctor`: what of this server's surroundings is well, and what to do where not."""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from atlas_server import process
from atlas_server.config import ServerConfig, in_colour
from foundations._version import __version__

_MARKS = {"ok": ("✓", 32), "none": ("–", 90), "warning": ("!", 33), "failure": ("✗", 31)}
_PLAIN = {"ok": "ok", "none": "-", "warning": "WARN", "failure": "FAIL"}
_NAME = 15
_EPILOG = """\
It changes nothing, and works with the server running or stopped. It ends with 1
where something has failed, with 0 where there are warnings alone.
`foundations config check` looks at the way from a client to a server.

examples:
  atlas-server doctor
  atlas-server doctor --deep
  atlas-server doctor --json | jq '.checks[] | select(.verdict == "failure")'"""


def add_parsers(commands: Any, config: Callable[[], ServerConfig]) -> None:
    """Add the command; `config` gives the configuration of this home."""
    doctor = commands.add_parser(
        "doctor",
        help="look for what keeps the server or its jobs from working",
        description="Check machine, home, database, network and executors.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.add_argument(
        "--deep", action="store_true", help="read all of the database and of what is stored"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=lambda given: _doctor(given, config()))


def _doctor(arguments: argparse.Namespace, config: ServerConfig) -> int:
    # Late: no other command needs all that is looked at.
    from atlas_server.doctor.order import examinations  # noqa: PLC0415

    state = process.running(config)
    shown = None if arguments.json else _Shown(config, state)
    found = []
    for part, name, finding in examinations(config, state, arguments.deep):
        found.append((part, name, finding))
        if shown is not None:
            shown.add(part, name, finding.verdict, finding.text, finding.hint)
    is_well = all(finding.verdict != "failure" for _, _, finding in found)
    if shown is not None:
        shown.close()
        return 0 if is_well else 1
    checks = [
        {
            "part": part, "check": name, "verdict": finding.verdict,
            "text": finding.text, "hint": finding.hint,
        }
        for part, name, finding in found
    ]  # fmt: skip
    facts = {"version": __version__, "home": str(config.home), "running": state is not None}
    print(json.dumps({**facts, "well": is_well, "checks": checks}, indent=2))
    return 0 if is_well else 1


class _Shown:
    """The list on the terminal, a line as soon as it is known."""

    def __init__(self, config: ServerConfig, state: dict[str, Any] | None) -> None:
        self._colours = in_colour()
        self._width = max(60, min(110, shutil.get_terminal_size().columns))
        self._signs = "utf" in (sys.stdout.encoding or "").lower()
        self._part = ""
        self._counts: collections.Counter[str] = collections.Counter()
        running = f"process {state['pid']} runs" if state else "no server runs"
        print(f"Atlas {__version__}, {config.home}, {running}")

    def add(self, part: str, name: str, verdict: str, text: str, hint: str) -> None:
        """Show one finding."""
        self._counts[verdict] += 1
        if part != self._part:
            self._part = part
            print(f"\n{self._painted(part, 1)}")
        sign, colour = _MARKS[verdict]
        mark = sign if self._signs else f"{_PLAIN[verdict]:4}"
        first = f"  {mark} {name:{_NAME}} "
        lines = _lines(text, self._width - len(first)) or [""]
        print(first.replace(mark, self._painted(mark, colour), 1) + self._written(lines[0]))
        margin = " " * len(first)
        for line in lines[1:]:
            print(margin + self._written(line))
        arrow = "→" if self._signs else ">"
        steps = _lines(hint, self._width - len(margin) - 2)
        for number, line in enumerate(steps):
            print(f"{margin}{self._painted(' ' if number else arrow, 36)} {self._written(line)}")

    def close(self) -> None:
        """Show the sum."""
        failures, warnings = self._counts["failure"], self._counts["warning"]
        if failures:
            told, colour = f"{_some(failures, 'failure')}, {_some(warnings, 'warning')}.", 31
        elif warnings:
            told, colour = f"It works, with {_some(warnings, 'warning')}.", 33
        else:
            told, colour = "All is well.", 32
        print(f"\n{self._painted(told, colour)}")

    def _written(self, text: str) -> str:
        encoding = sys.stdout.encoding or "ascii"
        return text.encode(encoding, "replace").decode(encoding)

    def _painted(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text


def _lines(text: str, width: int) -> list[str]:
    """Paths, addresses and digests stay in one piece: they are copied from here."""
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
