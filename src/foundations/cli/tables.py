"""Tables that fit the terminal, and bars for what takes a while."""

from __future__ import annotations

import os
import shutil
import sys

from foundations.cli.output import paint, printable
from foundations.cli.wording import BOLD, DIM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

    Cell = Union[str, Tuple[str, str]]  # a text, or a text and its colour

_GAP = 2


class Column:
    """One column: what it is called, how narrow it may become, and when it is left out.

    Columns with the highest `rank` go first where the terminal is too narrow; rank 0 always stays.
    """

    __slots__ = ("least", "rank", "right", "title")

    def __init__(self, title: str, rank: int = 0, least: int = 0, right: bool = False) -> None:
        self.title = title
        self.rank = rank
        self.least = least
        self.right = right


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], indent: int = 0) -> None:
    """Print a table; a column that is empty in every row is left out.

    On a terminal it is as wide as that at most. Elsewhere nothing is shortened.
    """
    table = [[_split(cell) for cell in row] for row in rows]
    shown = [i for i in range(len(columns)) if any(row[i][0] for row in table)]
    widths = {
        i: max([text_width(columns[i].title)] + [text_width(row[i][0]) for row in table])
        for i in shown
    }
    if sys.stdout.isatty():
        shown = _fit(columns, widths, shutil.get_terminal_size().columns - indent)
    lines = []
    if any(column.title for column in columns):
        lines.append([(columns[i].title, DIM) for i in shown])
    lines += [[row[i] for i in shown] for row in table]
    for line in lines:
        parts = []
        for i, (text, colour) in zip(shown, line):
            is_last = i == shown[-1]
            parts.append(_padded(text, colour, widths[i], columns[i].right, is_last))
        sys.stdout.write(" " * indent + (" " * _GAP).join(parts).rstrip() + "\n")


def print_fields(fields: Sequence[Tuple[str, Cell]], indent: int = 0) -> None:
    """Print `Name  text` lines without the empty ones; long texts go on below themselves."""
    given = [(one_line(name), _split(cell)) for name, cell in fields if _split(cell)[0]]
    label = max(text_width(name) for name, _ in given) + _GAP if given else 0
    room = shutil.get_terminal_size().columns - label - indent if sys.stdout.isatty() else 0
    for name, (text, colour) in given:
        lines = _wrapped(text, room) if room > 10 else [text]
        for number, line in enumerate(lines):
            left = name if number == 0 else ""
            sys.stdout.write(" " * indent + paint(left, DIM, sys.stdout))
            sys.stdout.write(" " * (label - text_width(left)))
            sys.stdout.write((paint(line, colour, sys.stdout) if colour else line) + "\n")


def print_title(text: str) -> None:
    """Print the title of a section, after an empty line."""
    sys.stdout.write("\n{}\n".format(paint(text, BOLD, sys.stdout)))


def short_ids(job_ids: Sequence[str]) -> Dict[str, str]:
    """Return the beginning of each ID, as long as it takes to tell these apart: 8 at least."""
    size = 8
    while size < 36 and len({job_id[:size] for job_id in job_ids}) < len(set(job_ids)):
        size += 1
    return {job_id: job_id[:size] for job_id in job_ids}


def one_line(text: str) -> str:
    """Return a text from a job as it may be shown in a line."""
    return printable(text.replace("\n", " ").replace("\t", " "), sys.stdout)


def text_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """Return a text cut to `width` columns, with a mark where something is missing."""
    if text_width(text) <= width:
        return text
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    mark = "…" if encoding.startswith("utf") else "~"
    if text.isascii():
        return text[: width - 1] + mark
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + mark


def _split(cell: Cell) -> Tuple[str, str]:
    text, colour = (cell, "") if isinstance(cell, str) else cell
    return one_line(text), colour


def _padded(text: str, colour: str, width: int, right: bool, is_last: bool) -> str:
    text = shortened(text, width)
    room = "" if is_last and not right else " " * (width - text_width(text))
    shown = paint(text, colour, sys.stdout) if colour and text else text
    return room + shown if right else shown + room


def _fit(columns: Sequence[Column], widths: Dict[int, int], available: int) -> List[int]:
    """Shorten `widths` to fit, and return which columns stay."""
    shown = list(widths)
    while shown:
        least = {i: min(widths[i], columns[i].least or widths[i]) for i in shown}
        room = available - _GAP * (len(shown) - 1)
        dropped = max(shown, key=lambda i: columns[i].rank)
        if sum(least.values()) > room and columns[dropped].rank > 0:
            shown.remove(dropped)
            continue
        while sum(widths[i] for i in shown) > room:
            wide = [i for i in shown if widths[i] > least[i]]
            if not wide:
                break
            widths[max(wide, key=lambda i: widths[i] - least[i])] -= 1
        break
    return shown


def _wrapped(text: str, room: int) -> List[str]:
    """Lines of at most `room` columns; textwrap would count letters, of which some take two."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = line + " " + word if line else word
        if text_width(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        while text_width(word) > room:
            end = room
            while text_width(word[:end]) > room:
                end -= 1
            lines.append(word[:end])
            word = word[end:]
        line = word
    return [*lines, line]


class ByteBar:
    """A progress bar of bytes on stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TransferSpeedColumn as Speed

        console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            Speed(),
            console=console,
            transient=True,
        )
        self._task: Any = None
        self._progress.start()

    def show(self, what: str, done: int, total: Optional[int]) -> None:
        """Show that `done` bytes of `total` (None: unknown) are through."""
        if self._task is None:
            self._task = self._progress.add_task(what, total=total)
        self._progress.update(self._task, description=what, completed=done, total=total)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
