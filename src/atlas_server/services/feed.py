"""Wakes those who wait for a change: the scheduler (a thread) and the live streams (async).

The feed carries no data: who wakes reads the database, so a lost or doubled wake is harmless.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class Feed:
    """Tells listeners that something about a job has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[int, tuple[str | None, bool, Callable[[], None]]] = {}
        self._next = 0

    def notify(self, job_id: str, *, moved: bool = True) -> None:
        """Wake everyone who listens to this job or to all.

        `moved` says that the job's state changed; otherwise it only logged or recorded something.
        """
        with self._lock:
            wanted = [
                wake
                for topic, moves_only, wake in self._listeners.values()
                if topic in (None, job_id) and (moved or not moves_only)
            ]
        for wake in wanted:
            wake()

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
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        self._event.clear()
        return True
