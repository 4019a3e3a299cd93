"""Looks at the GPUs from time to time, so that a broken one gets no new jobs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from atlas_server.domain.resources import Gpu
from atlas_server.executors.driver import Driver
from atlas_server.executors.gpus import GpuPool

log = logging.getLogger(__name__)

# The ends of many short jobs make one look.
_SHORTEST_PAUSE = 5.0


class GpuWatch:
    """A thread that asks the driver every `interval` seconds, and soon where there is a reason.

    `found` gets the devices, and why there are none or too few, when anything about them is new.
    """

    def __init__(
        self,
        driver: Driver,
        pool: GpuPool,
        interval: float,
        found: Callable[[tuple[Gpu, ...], str | None], None],
    ) -> None:
        self._driver = driver
        self._pool = pool
        self._interval = interval
        self._found = found
        self._changed: Callable[[], None] = lambda: None
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._looked_at = time.monotonic()

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; `changed` is called once `found` has been told something new."""
        self._changed = changed
        threading.Thread(target=self._run, name="gpu-watch", daemon=True).start()

    def look_soon(self) -> None:
        """Look before it is time: a job that had GPUs has ended, perhaps of a broken one."""
        self._asked.set()

    def close(self) -> None:
        """End the thread and what it waits for."""
        self._closing.set()
        self._asked.set()
        self._driver.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._asked.wait(self._interval)
            pause = self._looked_at + min(_SHORTEST_PAUSE, self._interval) - time.monotonic()
            if self._closing.wait(max(pause, 0.0)):
                return
            self._asked.clear()
            try:
                self._look()
            except Exception:
                # A watch that dies leaves broken devices in use: log, go on.
                log.exception("The GPUs could not be looked at.")
            self._looked_at = time.monotonic()

    def _look(self) -> None:
        before = self._pool.gpus, self._pool.trouble
        look = self._driver.look()
        if self._closing.is_set():
            return  # the question was ended with the server
        self._pool.take_in(look)
        if (self._pool.gpus, self._pool.trouble) != before:
            tell_of_change(before[0], self._pool.gpus)
            self._found(self._pool.gpus, self._pool.trouble)
            self._changed()


def tell_of_change(before: Iterable[Gpu], after: Iterable[Gpu]) -> None:
    """Log what is new about devices."""
    known = {gpu.uuid: gpu for gpu in before}
    for gpu in after:
        old = known.pop(gpu.uuid, None)
        name = f"{gpu.uuid} ({gpu.name})" if gpu.name else gpu.uuid
        if gpu.problem is not None and (old is None or old.problem != gpu.problem):
            log.warning("GPU %s gets no new jobs: %s.", name, gpu.problem)
        elif gpu.problem is None and old is None:
            log.info("GPU %s may be used.", name)
        elif gpu.problem is None and old is not None and old.problem is not None:
            log.info("GPU %s is in order again.", name)
    for uuid in known:
        log.info("GPU %s is used no more.", uuid)
