"""Slurm's queue, as its commands show it."""

from __future__ import annotations

from dataclasses import dataclass

from atlas_server.domain.ports import Handle
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import SlurmSettings
from atlas_server.executors.engine import EngineAway, EngineRefused
from atlas_server.executors.slurm_commands import SlurmCommands
from atlas_server.executors.slurm_tables import SACCT, SINFO, SQUEUE, Row, nodes, rows


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch job to submit: what to type, and its script."""

    handle: Handle
    words: tuple[str, ...]
    script: str


class SlurmQueue:
    """The batch jobs whose names begin with `prefix`: an Engine."""

    name = "Slurm"

    def __init__(self, settings: SlurmSettings, commands: SlurmCommands, prefix: str) -> None:
        self._settings = settings
        self._commands = commands
        self._prefix = prefix
        self._accounting: bool | None = None

    def submit(self, order: Submission, *, doubtful: bool) -> Row:
        """Type sbatch, unless it has been taken before."""
        if doubtful:
            listed = self._ask("squeue", "-h", "-t", "all", "-n", order.handle, "-O", SQUEUE)
            found = rows(listed, order.handle).get(order.handle)
            if found is not None:
                return found
        number = self._commands.run(order.words, order.script).strip().partition(";")[0]
        return Row(number, order.handle, "PENDING")

    def look(self, expected: set[Handle]) -> dict[Handle, Row]:
        """Ask squeue, and sacct for what squeue does not list any more."""
        listed = self._ask("squeue", "-h", "-t", "all", "--me", "-O", SQUEUE)
        found = rows(listed, self._prefix)
        return {**self._accounted(sorted(expected - found.keys())), **found}

    def nodes(self) -> tuple[Node, ...]:
        """Ask sinfo."""
        told = self._ask("sinfo", "-h", "-N", "-O", SINFO)
        return nodes(told, self._settings.name, self._settings.partition)

    def tell_to_end(self, entry: Row) -> None:
        """Cancel it where it waits; the runner of one that runs is sent a signal."""
        if entry.is_pending:
            # Only if it is so still: once it runs there is a runner to be told.
            self._commands.run(("scancel", "--quiet", "--state=PENDING", entry.number))
        else:
            self._commands.run(("scancel", "--quiet", "--batch", "--signal=TERM", entry.number))

    def cancel(self, entry: Row) -> None:
        """Cancel it, whatever it does."""
        self._commands.run(("scancel", "--quiet", entry.number))

    def _ask(self, *words: str) -> str:
        """Return what a command prints that only asks: where it is refused, Slurm is not there."""
        try:
            return self._commands.run(words)
        except EngineRefused as refusal:
            raise EngineAway(str(refusal)) from refusal

    def _accounted(self, missing: list[Handle]) -> dict[Handle, Row]:
        if not missing or self._accounting is False:
            return {}
        words = ("sacct", "-X", "-n", "-P", "-S", "now-30days", "-o", SACCT)
        try:
            told = self._commands.run((*words, f"--name={','.join(missing[:500])}"))
        except (EngineRefused, EngineAway):
            # Most likely there is no accounting; the runner's own record says what matters.
            self._accounting = False
            return {}
        self._accounting = True
        return rows(told, self._prefix)
