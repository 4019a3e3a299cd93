"""Slurm's queue, as its commands show it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from atlas_server.domain.ports import Handle
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import SlurmSettings
from atlas_server.executors.engine import EngineAway, EngineRefused
from atlas_server.executors.slurm_arrays import Submission, alike, array_of, fits, submitted
from atlas_server.executors.slurm_commands import SlurmCommands
from atlas_server.executors.slurm_tables import SACCT, SINFO, SQUEUE, Row, nodes, rows

# How many tasks an array has at most, unless the site allows fewer; its own default is as many.
_SPAN = 1000
_MOST_TASKS = re.compile(r"MaxArraySize\s*=\s*(\d+)")


class SlurmQueue:
    """The batch jobs whose names begin with `prefix`: an Engine."""

    name = "Slurm"

    def __init__(self, settings: SlurmSettings, commands: SlurmCommands, prefix: str) -> None:
        self._settings = settings
        self._commands = commands
        self._prefix = prefix
        self._accounting: bool | None = None
        # As many as Slurm's configuration allows; and as it has lately taken.
        self._tasks: int | None = None
        self._most = _SPAN

    def submit(self, orders: Sequence[Submission], *, doubtful: bool) -> dict[Handle, Row]:
        """Type sbatch, unless some of them have been taken before: those are returned then."""
        if doubtful:
            listed = self._listed()
            there = {each.handle: listed[each.handle] for each in orders if each.handle in listed}
            if there:
                return there
        some = alike(orders, self._span())[: self._most]
        while True:
            words, text, places = submitted(some, self._prefix, self._span())
            try:
                if fits(text) or len(some) == 1:
                    number = self._commands.run(words, text).strip().partition(";")[0]
                    break
            except EngineRefused:
                if len(some) == 1:
                    raise
                # As a whole: there may be room for fewer, or it is about one of them.
                self._most = len(some) // 2
            some = some[: len(some) // 2]
        self._most = min(_SPAN, max(self._most, 2 * len(some)))
        rows = {handle: f"{number}{place}" for handle, place in places.items()}
        return {handle: Row(each, handle, "PENDING") for handle, each in rows.items()}

    def look(self, expected: set[Handle]) -> dict[Handle, Row]:
        """Ask squeue, and sacct for what squeue does not list any more."""
        found = self._listed()
        return {**self._accounted(sorted(expected - found.keys())), **found}

    def nodes(self) -> tuple[Node, ...]:
        """Ask sinfo."""
        told = self._ask("sinfo", "-h", "-N", "-O", SINFO)
        return nodes(told, self._settings.name, self._settings.partition)

    def tell_to_end(self, entry: Row) -> None:
        """Cancel it where it waits; the runner of one that runs is sent a signal."""
        if entry.is_pending:
            if "_" in entry.number:
                # A task that waits stands in one row with the others until it is held, and such a
                # row is cancelled as a whole where it is asked for by its state.
                self._commands.run(("scontrol", "hold", entry.number))
            # Only if it is so still: once it runs there is a runner to be told.
            self._commands.run(("scancel", "--quiet", "--state=PENDING", entry.number))
        else:
            self._commands.run(("scancel", "--quiet", "--batch", "--signal=TERM", entry.number))

    def cancel(self, entry: Row) -> None:
        """Cancel it, whatever it does."""
        self._commands.run(("scancel", "--quiet", entry.number))

    def _listed(self) -> dict[Handle, Row]:
        listed = self._ask("squeue", "-h", "-r", "-t", "all", "--me", "-O", SQUEUE)
        return rows(listed, self._prefix)

    def _span(self) -> int:
        """Return how many tasks an array may have."""
        if self._tasks is None:
            said = _MOST_TASKS.search(self._ask("scontrol", "show", "config"))
            self._tasks = min(_SPAN, int(said[1])) if said else 0
        return self._tasks if self._settings.arrays else 0

    def _ask(self, *words: str) -> str:
        """Return what a command prints that only asks: where it is refused, Slurm is not there."""
        try:
            return self._commands.run(words)
        except EngineRefused as refusal:
            raise EngineAway(str(refusal)) from refusal

    def _accounted(self, missing: list[Handle]) -> dict[Handle, Row]:
        if not missing or self._accounting is False:
            return {}
        names = {*missing[:500], *self._arrays(missing[:500])}
        words = ("sacct", "-X", "-n", "-P", "-S", "now-30days", "-o", SACCT)
        try:
            told = self._commands.run((*words, f"--name={','.join(sorted(names))}"))
        except (EngineRefused, EngineAway):
            # Most likely there is no accounting; the runner's own record says what matters.
            self._accounting = False
            return {}
        self._accounting = True
        return rows(told, self._prefix)

    def _arrays(self, handles: Sequence[Handle]) -> set[str]:
        """Return the names of the arrays that these may be in."""
        attempts = (each.removeprefix(self._prefix) for each in handles)
        span = self._span()
        return {
            array_of(int(number), self._prefix, span)
            for number in attempts
            if span > 1 and number.isdigit()
        }
