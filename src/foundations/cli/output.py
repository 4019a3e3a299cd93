"""How the command line speaks: levels, colours, JSON, times. Tables are in `tables`."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from foundations.errors import FoundationsError

_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
_COLOURS = {"WARNING": "33", "ERROR": "31"}


class Console:
    """Lines as `Foundations LEVEL: message`, from `level` upwards."""

    def __init__(self, level: str = "INFO", silent: bool = False) -> None:
        self._level = _LEVELS[level]
        self.silent = silent

    def set_level(self, level: str) -> None:
        """Show only lines of `level` and above."""
        self._level = _LEVELS[level]

    def info(self, message: str) -> None:
        """What goes on."""
        self._line("INFO", message)

    def warning(self, message: str) -> None:
        """What may not be as the user wants it."""
        self._line("WARNING", message)

    def error(self, message: str) -> None:
        """What went wrong."""
        self._line("ERROR", message)

    def _line(self, level: str, message: str) -> None:
        # Warnings and errors are told all the same, where they do not disturb what programs read.
        if self.silent and level != "INFO":
            error_text(level, message)
        elif not self.silent and _LEVELS[level] >= self._level:
            stream = sys.stdout
            prefix = paint("Foundations {}:".format(level), _COLOURS.get(level, "2"), stream)
            stream.write("{} {}\n".format(prefix, printable(message, stream)))
            stream.flush()


def error_text(level: str, message: str) -> None:
    """Print a line on stderr."""
    prefix = paint("Foundations {}:".format(level), _COLOURS.get(level, "2"), sys.stderr)
    sys.stderr.write("{} {}\n".format(prefix, printable(message, sys.stderr)))


def error_line(error: FoundationsError) -> None:
    """Print an error and what to do about it on stderr."""
    sys.stdout.flush()
    prefix = paint("Error:", "31", sys.stderr)
    sys.stderr.write("{} {}\n".format(prefix, printable(error.message, sys.stderr)))
    if error.hint:
        sys.stderr.write("  {}\n".format(printable(error.hint, sys.stderr)))


def print_json(value: Any) -> None:
    """Print a JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2, sort_keys=False)
    sys.stdout.write("\n")


def confirmed(question: str) -> bool:
    """Ask on the terminal; without one nobody can be asked, and that counts as yes."""
    if not sys.stdin.isatty():
        return True
    sys.stderr.write("{} [y/N] ".format(printable(question, sys.stderr)))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def paint(text: str, code: str, stream: TextIO) -> str:
    """Return `text` in a colour where the stream is a terminal that may show it."""
    if not has_colour(stream):
        return text
    return "\x1b[{}m{}\x1b[0m".format(code, text)


def has_colour(stream: TextIO) -> bool:
    """Whether colour may be written: a terminal, and neither NO_COLOR nor TERM=dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def printable(text: str, stream: TextIO) -> str:
    """Return `text` with what the stream's encoding cannot hold escaped, control codes too."""
    clean = "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]
        for letter in text
    )
    encoding = stream.encoding or "utf-8"
    return clean.encode(encoding, "backslashreplace").decode(encoding)
