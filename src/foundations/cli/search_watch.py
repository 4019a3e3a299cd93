"""A search as it goes on, until it is over."""

from __future__ import annotations

import os
import sys

from foundations.cli.output import Console
from foundations.cli.search_tables import progress
from foundations.client.follow import follow_search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from foundations.client.api import Api


def watch(api: Api, name: str, silent: bool = False) -> Dict[str, Any]:
    """Show how a search goes and return its row at the end.

    A bar on a terminal; elsewhere a line at each trial that is the best so far.
    """
    row = api.search(name, "/row")
    bar = _Bar() if sys.stderr.isatty() and not silent else None
    console = Console(silent=silent)
    best = None
    try:
        for row in follow_search(api.url, name):
            if bar is not None:
                bar.show(row)
            number = row["best"]["number"] if row["best"] else None
            if bar is None and number != best:
                console.info(progress(row))
            best = number
    finally:
        if bar is not None:
            bar.close()
    end = "Search '{}' has {}{}".format(
        name, _ENDS[row["state"]], ": " + row["message"] if row["message"] else "."
    )
    (console.info if row["state"] == "completed" else console.error)(end)
    console.info(progress(row))
    return row


_ENDS = {"completed": "completed", "stopped": "been stopped", "failed": "failed"}


class _Bar:
    """Trials that are over, of those that there will be."""

    def __init__(self) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = RichConsole(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
        self._progress = Progress(
            TextColumn("{task.fields[name]}"), BarColumn(bar_width=20), TimeElapsedColumn(),
            TextColumn("{task.description}"), console=console, transient=True,
        )  # fmt: skip
        self._task: Any = None
        self._progress.start()

    def show(self, row: Dict[str, Any]) -> None:
        """Show how far it is."""
        counts = row["counts"]
        over = counts["total"] - counts["queued"] - counts["running"]
        if self._task is None:
            self._task = self._progress.add_task("", total=None, name=row["name"])
        self._progress.update(
            self._task, description=progress(row), completed=over, total=row["budget"]["trials"]
        )

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
