"""Our part of an engine's queue: submits, looks, stops; in threads, for it may be slow or away."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from atlas_server.domain.ports import Handle
from atlas_server.domain.resources import Node
from atlas_server.executors.engine import Engine, EngineAway, EngineRefused, EntryT, Order

log = logging.getLogger(__name__)

_OrderT = TypeVar("_OrderT", bound=Order)

# Nodes are looked at once in so many looks at the queue, and both so seldom while nothing runs.
_LOOKS = 10
# What nobody answers for any more is cancelled after this long, when it has had time to end.
_ORPHAN_SECONDS = 60.0
_KILL_AFTER = 30.0
_WAIT_AT_START = 3.0
_LONG = 5.0
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Look(Generic[EntryT]):
    """What is known of one runner; `is_complete`: the engine has been asked at all."""

    row: EntryT | None
    refused: str | None
    withdrawn: bool
    is_being_submitted: bool
    is_complete: bool


class EngineQueue(Generic[EntryT, _OrderT]):
    """The runners of one executor in its engine; looked at every `poll` seconds while there are."""

    def __init__(self, engine: Engine[EntryT, _OrderT], poll: float) -> None:
        self.nodes: tuple[Node, ...] = ()
        self._engine = engine
        self._poll = poll
        self._changed: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._rows: dict[Handle, EntryT] = {}
        self._submitted: dict[Handle, float] = {}
        self._waiting: dict[Handle, _OrderT] = {}
        self._doubtful: set[Handle] = set()
        self._refused: dict[Handle, tuple[str, bool]] = {}
        self._expected: set[Handle] | None = None
        self._orphans: dict[Handle, float] = {}
        self._ends: dict[Handle, float] = {}
        self._told: dict[Handle, str] = {}
        self._has_looked = threading.Event()
        self._is_away = False
        self._seldom = _LOOKS * poll
        self._nodes_at = -self._seldom
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._wake = threading.Event()
        self._closing = False
        name = engine.name.lower()
        self._threads = [
            threading.Thread(target=self._look_on, name=f"{name}-looks", daemon=True),
            threading.Thread(target=self._do_work, name=f"{name}-submits", daemon=True),
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

    def submit(self, order: _OrderT) -> None:
        """Have a runner submitted, sooner or later."""
        with self._lock:
            self._waiting[order.handle] = order
        self._work.put(self._submit_first)

    def stop(self, handle: Handle, grace: float) -> None:
        """Have a runner told to end, and ended where it does not within `grace` seconds."""
        with self._lock:
            if self._waiting.pop(handle, None) is not None:
                self._refused[handle] = (f"It was stopped before {self._engine.name} had it.", True)
            else:
                self._ends[handle] = time.monotonic() + grace + _KILL_AFTER
                self._work.put(lambda: self._tell_to_end(handle))
        self._changed()

    def look(self, handle: Handle) -> Look[EntryT]:
        """Return what is known of a runner."""
        with self._lock:
            refused, withdrawn = self._refused.get(handle, (None, False))
            return Look(
                self._rows.get(handle),
                refused,
                withdrawn,
                handle in self._waiting,
                self._has_looked.is_set() and not self._is_away,
            )

    @property
    def is_away(self) -> bool:
        """Whether the engine did not answer when it was last asked."""
        return self._is_away

    def named(self, prefix: str) -> set[Handle]:
        """Return what it has, and has not done with, of which the handle begins so."""
        with self._lock:
            rows = self._rows.items()
            return {each for each, row in rows if each.startswith(prefix) and not row.is_over}

    def is_short(self, besides: str) -> bool:
        """Whether a runner waits there for long, apart from those whose handle begins so."""
        with self._lock:
            long_ago = time.monotonic() - _LONG
            return any(
                row.is_pending and self._submitted.get(handle, 0.0) < long_ago
                for handle, row in self._rows.items()
                if not handle.startswith(besides)
            )

    def expect(self, handles: set[Handle]) -> None:
        """Say which runners there should be: others are ours no more."""
        with self._lock:
            if handles and not self._expected:
                # It was looked at seldom, for there was nothing to look for.
                self._wake.set()
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
                log.exception("%s could not be told; the rest goes on.", self._engine.name)

    def _submit_first(self) -> None:
        """Submit what waits longest, with what the engine takes in one with it, until it is in."""
        with self._lock:
            handle = next(iter(self._waiting), None)
        while handle in self._waiting and not self._closing:
            with self._lock:
                orders = list(itertools.islice(self._waiting.values(), _AT_ONCE))
                self._doubtful &= self._waiting.keys()
            try:
                taken = self._engine.submit(orders, doubtful=bool(self._doubtful))
            except EngineRefused as refusal:
                self._is_refused(orders[0].handle, refusal)
            except EngineAway as trouble:
                # They may have been taken all the same.
                self._doubtful |= {each.handle for each in orders}
                self._say_away(trouble)
                self._wake.wait(self._poll)
            else:
                for each, entry in taken.items():
                    self._is_submitted(each, entry)
        if handle is not None:
            self._wake.set()
            self._changed()

    def _is_refused(self, handle: Handle, refusal: EngineRefused) -> None:
        said = f"{self._engine.name} refused the job: {refusal}."
        with self._lock:
            self._refused[handle] = (said, False)
            self._waiting.pop(handle, None)
        log.warning("%s: %s", handle, said)

    def _is_submitted(self, handle: Handle, entry: EntryT) -> None:
        with self._lock:
            withdrawn = self._waiting.pop(handle, None) is None
            self._submitted[handle] = time.monotonic()
            self._rows.setdefault(handle, entry)
        if withdrawn:
            self._tell_to_end(handle)

    def _tell_to_end(self, handle: Handle) -> None:
        with self._lock:
            row = self._rows.get(handle)
            if row is None or row.is_over or self._told.get(handle) == row.state:
                return
            self._told[handle] = row.state
        self._order(self._engine.tell_to_end, row)
        if not row.is_pending:
            self._wake.set()

    def _order(self, order: Callable[[EntryT], None], row: EntryT) -> None:
        try:
            order(row)
        except (EngineRefused, EngineAway) as trouble:
            log.warning("%s could not be told to end a job: %s", self._engine.name, trouble)

    # -- looking, in another

    def _look_on(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                if self._look_once():
                    self._changed()
            except EngineAway as trouble:
                self._say_away(trouble)
            except Exception:
                log.exception("%s could not be looked at; it is tried again.", self._engine.name)
            busy = self._expected or self._waiting or self._orphans
            self._wake.wait(self._poll if busy else self._seldom)

    def _look_once(self) -> bool:
        begun = time.monotonic()
        news = self._look_at_nodes() if begun - self._nodes_at >= self._seldom else False
        with self._lock:
            expected = (self._expected or set()) - self._waiting.keys() - self._submitted.keys()
        found = self._engine.look(expected)
        with self._lock:
            for handle, at in self._submitted.items():
                # Submitted while it was being asked.
                if at >= begun and handle not in found and handle in self._rows:
                    found[handle] = self._rows[handle]
            news = news or found != self._rows
            self._rows = found
            was_away, self._is_away = self._is_away, False
        if was_away:
            log.warning("%s answers again.", self._engine.name)
        self._has_looked.set()
        self._end_what_should()
        return news or was_away

    def _look_at_nodes(self) -> bool:
        before = self.nodes
        self.nodes = self._engine.nodes()
        self._nodes_at = time.monotonic()
        return self.nodes != before

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
            rows = {handle: self._rows[handle] for handle in late}
        for handle in ending:
            self._tell_to_end(handle)
        for handle, row in rows.items():
            log.warning("%s did not end by itself; %s is told.", handle, self._engine.name)
            self._order(self._engine.cancel, row)

    def _say_away(self, trouble: EngineAway) -> None:
        with self._lock:
            told, self._is_away = self._is_away, True
        if not told:
            log.warning(
                "%s cannot be asked now, and is asked again: %s", self._engine.name, trouble
            )
            condition = f"{self._engine.name} does not answer: {trouble}"
            self.nodes = tuple(
                replace(node, accepting=False, condition=condition) for node in self.nodes
            )
            self._nodes_at = -self._seldom
            self._changed()
