"""Wakes those who wait for a change: the scheduler (a thread) and the live streams (async).

The feed carries no data: who wakes reads the database, so a lost or doubled wake is harmless.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple


class Change(NamedTuple):
    """What the feed is told, see `Feed.notify`; without a job, see `Feed.announce`."""

    job_id: str | None
    moved: bool
    recorded: bool
    logged: bool


def _to_nobody(_: Change) -> None:
    """There are no other processes."""


class Feed:
    """Tells listeners that something about a job has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[int, tuple[str | None, bool, Callable[[], None]]] = {}
        self._watchers: dict[int, Callable[[str | None], None]] = {}
        self._next = 0
        self.relay: Callable[[Change], None] = _to_nobody
        """Is told each change, for other processes."""

    def notify(
        self, job_id: str, *, moved: bool = True, recorded: bool = False, logged: bool = False
    ) -> None:
        """Wake everyone who listens to this job or to all.

        `moved` says that the scheduler has to look. Watchers are told of all but jobs that only
        `logged`, and which of them `recorded` something.
        """
        self.wake(job_id, moved=moved, recorded=recorded, logged=logged)
        self.relay(Change(job_id, moved, recorded, logged))

    def wake(self, job_id: str, *, moved: bool, recorded: bool, logged: bool) -> None:
        """Wake those of this process, see `notify`."""
        with self._lock:
            watchers = [] if logged else list(self._watchers.values())
            wanted = [
                wake
                for topic, moves_only, wake in self._listeners.values()
                if topic in (None, job_id) and (moved or not moves_only)
            ]
        for wake in wanted:
            wake()
        for told in watchers:
            told(job_id if recorded else None)

    def announce(self) -> None:
        """Tell watchers that something changed which is of no job: a project, a note."""
        self.tell_watchers()
        self.relay(Change(None, False, False, False))

    def wake_all(self) -> None:
        """Wake everyone of this process: something may have been missed."""
        with self._lock:
            wanted = [wake for _, _, wake in self._listeners.values()]
        for wake in wanted:
            wake()
        self.tell_watchers()

    def tell_watchers(self) -> None:
        """Tell the watchers of this process, see `announce`."""
        with self._lock:
            watchers = list(self._watchers.values())
        for told in watchers:
            told(None)

    def watch(self, told: Callable[[str | None], None]) -> Callable[[], None]:
        """Call `told` at every change, with the job that recorded something; returns the end of it.

        None: something else changed, which the event log tells.
        """
        with self._lock:
            key = self._next
            self._next += 1
            self._watchers[key] = told

        def forget() -> None:
            with self._lock:
                self._watchers.pop(key, None)

        return forget

    def listen(
        self, job_id: str | None, wake: Callable[[], None], *, moves_only: bool = False
    ) -> Callable[[], None]:
        """Call `wake` at every change of the job (None: of any job); returns the way to end it.

        With `moves_only` what jobs log and record does not wake.
        """
        with self._lock:
            key = self._next
            self._next += 1
            self._listeners[key] = (job_id, moves_only, wake)

        def forget() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return forget


class AsyncWatcher:
    """All changes for a coroutine: `await changed()` returns after the next one.

    `take()` returns the jobs that recorded something since it was called last.
    """

    def __init__(self, feed: Feed) -> None:
        self._event = asyncio.Event()
        self._lock = threading.Lock()
        self._recorded: set[str] = set()
        loop = asyncio.get_running_loop()

        def told(job_id: str | None) -> None:
            if job_id is not None:
                with self._lock:
                    self._recorded.add(job_id)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._event.set)

        self.close = feed.watch(told)

    def take(self) -> set[str]:
        """Return the IDs of jobs that recorded something, once each."""
        with self._lock:
            taken, self._recorded = self._recorded, set()
        return taken

    async def changed(self, timeout: float) -> bool:
        """Wait for a change; False when `timeout` seconds pass without one."""
        return await _is_set(self._event, timeout)


class AsyncListener:
    """The feed for a coroutine: `await changed()` returns after the next change."""

    def __init__(self, feed: Feed, job_id: str | None) -> None:
        self._event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # The loop may close between a change and its telling: nobody is left to wake then.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._event.set)

        self.close = feed.listen(job_id, wake)

    async def changed(self, timeout: float) -> bool:
        """Wait for a change; False when `timeout` seconds pass without one."""
        return await _is_set(self._event, timeout)


async def _is_set(event: asyncio.Event, timeout: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except TimeoutError:
        return False
    event.clear()
    return True
