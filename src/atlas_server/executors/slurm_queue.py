"""Our part of Slurm's queue: submits, looks, stops; in threads, for Slurm may be slow or away."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from atlas_server.domain.ports import Handle
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import SlurmSettings
from atlas_server.executors.slurm_commands import SlurmAway, SlurmCommands, SlurmRefused
from atlas_server.executors.slurm_tables import SACCT, SINFO, SQUEUE, Row, nodes, rows

log = logging.getLogger(__name__)

_NODES_EVERY = 10.0
# What nobody answers for any more is cancelled after this long, when it has had time to end.
_ORPHAN_SECONDS = 60.0
_KILL_AFTER = 30.0
_WAIT_AT_START = 3.0


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch job to submit: what to type, and its script."""

    handle: Handle
    words: tuple[str, ...]
    script: str


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one batch job; `is_complete`: Slurm has been asked at all."""

    row: Row | None
    refused: str | None
    withdrawn: bool
    is_being_submitted: bool
    is_complete: bool


class SlurmQueue:
    """The batch jobs whose names begin with `prefix`."""

    def __init__(self, settings: SlurmSettings, commands: SlurmCommands, prefix: str) -> None:
        self.nodes: tuple[Node, ...] = ()
        self._settings = settings
        self._commands = commands
        self._prefix = prefix
        self._changed: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._rows: dict[Handle, Row] = {}
        self._submitted: dict[Handle, float] = {}
        self._waiting: dict[Handle, Submission] = {}
        self._refused: dict[Handle, tuple[str, bool]] = {}
        self._expected: set[Handle] | None = None
        self._orphans: dict[Handle, float] = {}
        self._ends: dict[Handle, float] = {}
        self._told: dict[Handle, str] = {}
        self._has_looked = threading.Event()
        self._is_away = False
        self._accounting: bool | None = None
        self._nodes_at = -_NODES_EVERY
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._wake = threading.Event()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._look_on, name="slurm-looks", daemon=True),
            threading.Thread(target=self._do_work, name="slurm-submits", daemon=True),
        ]

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; `changed` is called when anything is new. Waits a little for the first look."""
        self._changed = changed
        for thread in self._threads:
            thread.start()
        self._has_looked.wait(_WAIT_AT_START)

    def close(self) -> None:
        """End the threads; a command that runs is not waited for."""
        self._closing = True
        self._wake.set()
        self._work.put(None)
        for thread in self._threads:
            thread.join(timeout=1.0)

    def submit(self, submission: Submission) -> None:
        """Have a batch job submitted, sooner or later."""
        with self._lock:
            self._waiting[submission.handle] = submission
        self._work.put(lambda: self._submit(submission))

    def stop(self, handle: Handle, grace: float) -> None:
        """Have a batch job told to end, and cancelled where it does not within `grace` seconds."""
        with self._lock:
            if self._waiting.pop(handle, None) is not None:
                self._refused[handle] = ("It was stopped before Slurm had it.", True)
            else:
                self._ends[handle] = time.monotonic() + grace + _KILL_AFTER
                self._work.put(lambda: self._tell_to_end(handle))
        self._changed()

    def look(self, handle: Handle) -> Look:
        """Return what is known of a batch job."""
        with self._lock:
            refused, withdrawn = self._refused.get(handle, (None, False))
            return Look(
                self._rows.get(handle),
                refused,
                withdrawn,
                handle in self._waiting,
                self._has_looked.is_set() and not self._is_away,
            )

    def expect(self, handles: set[Handle]) -> None:
        """Say which batch jobs there should be: others are ours no more."""
        with self._lock:
            self._expected = handles
            for gone in self._refused.keys() - handles:
                del self._refused[gone]
            for gone in self._submitted.keys() - handles - self._rows.keys():
                del self._submitted[gone]

    # -- submitting, in one thread

    def _do_work(self) -> None:
        while (work := self._work.get()) is not None and not self._closing:
            try:
                work()
            except Exception:
                log.exception("Slurm could not be told; the rest goes on.")

    def _submit(self, submission: Submission) -> None:
        handle, doubtful = submission.handle, False
        while handle in self._waiting and not self._closing:
            try:
                number = self._find(handle) if doubtful else None
                number = number or self._commands.run(submission.words, submission.script)
            except SlurmRefused as refusal:
                said = f"Slurm refused the job: {refusal}."
                with self._lock:
                    self._refused[handle] = (said, False)
                    self._waiting.pop(handle, None)
                log.warning("%s: %s", handle, said)
            except SlurmAway as trouble:
                # It may have been taken all the same: next time it is looked for first.
                doubtful = True
                self._say_away(trouble)
                self._wake.wait(self._settings.poll)
            else:
                self._is_submitted(handle, number.strip().partition(";")[0])
        self._wake.set()
        self._changed()

    def _find(self, handle: Handle) -> str | None:
        listed = self._commands.run(("squeue", "-h", "-t", "all", "-n", handle, "-O", SQUEUE))
        row = rows(listed, handle).get(handle)
        return row.number if row is not None else None

    def _is_submitted(self, handle: Handle, number: str) -> None:
        with self._lock:
            withdrawn = self._waiting.pop(handle, None) is None
            self._submitted[handle] = time.monotonic()
            self._rows.setdefault(handle, Row(number, handle, "PENDING"))
        if withdrawn:
            self._tell_to_end(handle)

    def _tell_to_end(self, handle: Handle) -> None:
        with self._lock:
            row = self._rows.get(handle)
            if row is None or row.is_over or self._told.get(handle) == row.state:
                return
            self._told[handle] = row.state
        if row.is_pending:
            # Only if it is so still: once it runs there is a runner to be told.
            self._cancel("--state=PENDING", row.number)
        else:
            self._cancel("--batch", "--signal=TERM", row.number)
        self._wake.set()

    def _cancel(self, *words: str) -> None:
        try:
            self._commands.run(("scancel", "--quiet", *words))
        except (SlurmRefused, SlurmAway) as trouble:
            log.warning("scancel %s: %s", " ".join(words), trouble)

    # -- looking, in another

    def _look_on(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                if self._look_once():
                    self._changed()
            except SlurmAway as trouble:
                self._say_away(trouble)
            except Exception:
                log.exception("Slurm could not be looked at; it is tried again.")
            busy = self._expected or self._waiting or self._orphans
            self._wake.wait(self._settings.poll if busy else _NODES_EVERY)

    def _look_once(self) -> bool:
        begun = time.monotonic()
        news = self._look_at_nodes() if begun - self._nodes_at >= _NODES_EVERY else False
        try:
            found = rows(
                self._commands.run(("squeue", "-h", "-t", "all", "--me", "-O", SQUEUE)),
                self._prefix,
            )
            found = {**self._accounted(found), **found}
        except SlurmRefused as refusal:
            raise SlurmAway(str(refusal)) from refusal
        with self._lock:
            for handle, at in self._submitted.items():
                # Submitted while squeue was being asked.
                if at >= begun and handle not in found and handle in self._rows:
                    found[handle] = self._rows[handle]
            news = news or found != self._rows
            self._rows = found
            was_away, self._is_away = self._is_away, False
        if was_away:
            log.warning("Slurm answers again.")
        self._has_looked.set()
        self._end_what_should()
        return news or was_away

    def _look_at_nodes(self) -> bool:
        try:
            told = self._commands.run(("sinfo", "-h", "-N", "-O", SINFO))
        except SlurmRefused as refusal:
            raise SlurmAway(str(refusal)) from refusal
        before = self.nodes
        self.nodes = nodes(told, self._settings.name, self._settings.partition)
        self._nodes_at = time.monotonic()
        return self.nodes != before

    def _accounted(self, found: dict[Handle, Row]) -> dict[Handle, Row]:
        """Return what sacct knows of batch jobs that are expected and not in `found`."""
        with self._lock:
            missing = sorted(
                (self._expected or set()) - found.keys() - self._waiting.keys()
                - self._submitted.keys()
            )  # fmt: skip
        if not missing or self._accounting is False:
            return {}
        words = ("sacct", "-X", "-n", "-P", "-S", "now-30days", "-o", SACCT)
        try:
            told = self._commands.run((*words, f"--name={','.join(missing[:500])}"))
        except (SlurmRefused, SlurmAway):
            # Most likely there is no accounting; the runner's own record says what matters.
            self._accounting = False
            return {}
        self._accounting = True
        return rows(told, self._prefix)

    def _end_what_should(self) -> None:
        """Cancel what did not end when it was told to, and what nobody answers for any more."""
        now = time.monotonic()
        with self._lock:
            unfinished = {handle for handle, row in self._rows.items() if not row.is_over}
            if self._expected is not None:
                wanted = self._expected | self._waiting.keys()
                for handle in unfinished - wanted:
                    self._orphans.setdefault(handle, now)
                for handle in self._orphans.keys() - (unfinished - wanted):
                    del self._orphans[handle]
            for handle in self._ends.keys() - unfinished:
                del self._ends[handle]
            for handle in self._told.keys() - unfinished:
                del self._told[handle]
            ending = list(self._ends)
            late = [handle for handle, at in self._ends.items() if at <= now]
            late += [
                handle for handle, since in self._orphans.items() if now - since > _ORPHAN_SECONDS
            ]
            numbers = [self._rows[handle].number for handle in late]
        for handle in ending:
            self._tell_to_end(handle)
        for number in numbers:
            log.warning("Slurm's job %s did not end by itself; it is cancelled.", number)
            self._cancel(number)

    def _say_away(self, trouble: SlurmAway) -> None:
        with self._lock:
            told, self._is_away = self._is_away, True
        if not told:
            log.warning("Slurm cannot be asked now, and is asked again: %s", trouble)
            condition = f"Slurm does not answer: {trouble}"
            self.nodes = tuple(
                replace(node, accepting=False, condition=condition) for node in self.nodes
            )
            self._nodes_at = -_NODES_EVERY
            self._changed()
