"""The attempts that a pilot carries: begun, watched, stopped, each with GPUs of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas_runner.exits import ExitWatch
from atlas_runner.finding import interpreter_here
from atlas_runner.forking import ForkServer, NotForked

log = logging.getLogger(__name__)

# Beside its grace: to keep what the job made.
_KEEPING = 30.0


@dataclass
class _Carried:
    berth: Mapping[str, Any]
    devices: Sequence[str] = ()
    runner: str | None = None
    kill_at: float | None = None

    @property
    def holds(self) -> list[float]:
        return [self.berth["cpus"], self.berth["memory"], self.berth["gpus"]]


class Crew:
    """`devices` are the GPUs of the pilot's place; `news` is called when a runner has gone."""

    def __init__(
        self, forks: ForkServer, devices: Sequence[str], grace: float, news: Callable[[], None]
    ) -> None:
        self._forks = forks
        self._devices = list(devices)
        self._grace = grace
        self._news = news
        self._lock = threading.RLock()
        self._carried: dict[str, _Carried] = {}
        self._ended: list[str] = []
        self._seen: set[str] = set()
        self._exits = ExitWatch()
        self._exits.start(self._runner_gone)

    @property
    def is_empty(self) -> bool:
        """Whether it carries nothing."""
        return not self._carried

    def carries(self) -> dict[str, list[float]]:
        """Return what is held by each attempt, also by those whose end was not told yet."""
        with self._lock:
            return {
                **{handle: [0.0, 0, 0] for handle in self._ended},
                **{handle: each.holds for handle, each in self._carried.items()},
            }

    def ended(self) -> list[str]:
        """Return what has ended and was not told yet; see `told`."""
        with self._lock:
            return list(self._ended)

    def told(self, handles: Sequence[str]) -> None:
        """Say that these ends are known to the server."""
        with self._lock:
            self._ended = [each for each in self._ended if each not in handles]

    def begin(self, berth: Mapping[str, Any]) -> None:
        """Begin an attempt, once; it waits until runners before it have let go of its GPUs."""
        with self._lock:
            if berth["handle"] in self._seen:
                return
            self._seen.add(berth["handle"])
            self._carried[berth["handle"]] = _Carried(berth)
            self._begin_those_that_can()

    def stop(self, handle: str) -> None:
        """Have a runner end its worker; one that does not is killed."""
        with self._lock:
            each = self._carried.get(handle)
            if each is None or each.kill_at is not None:
                return
            if each.runner is None:
                self._gone(handle)  # the server knows that it is to be stopped
                return
            each.kill_at = time.monotonic() + self._grace + _KEEPING
            _signal(each.runner, signal.SIGTERM)

    def stop_all(self) -> None:
        """Have all of them end."""
        for handle in list(self._carried):
            self.stop(handle)

    def kill_late(self) -> None:
        """Kill runners that were told to end and did not."""
        with self._lock:
            for each in self._carried.values():
                if each.runner and each.kill_at is not None and each.kill_at <= time.monotonic():
                    log.warning("%s did not end by itself.", each.berth["handle"])
                    _signal(each.runner, signal.SIGKILL)

    def close(self) -> None:
        """End what serves the pilot alone."""
        self._exits.close()
        self._forks.close()

    def _begin_those_that_can(self) -> None:
        for handle, each in list(self._carried.items()):
            wanted = int(each.berth["gpus"])
            if each.runner is not None or wanted > len(self._devices):
                continue
            each.devices, self._devices = self._devices[:wanted], self._devices[wanted:]
            assignment = each.berth["assignment"]
            told = {
                **assignment,
                "devices": list(each.devices),
                "spec": interpreter_here(assignment["spec"]),
            }
            try:
                each.runner = self._forks.fork(told)
            except NotForked as error:
                log.error("%s could not be begun: %s", handle, error)
                self._gone(handle)
            else:
                self._exits.watch(each.runner)

    def _runner_gone(self, runner: str) -> None:
        with self._lock:
            for handle, each in list(self._carried.items()):
                if each.runner == runner:
                    self._gone(handle)
            self._begin_those_that_can()

    def _gone(self, handle: str) -> None:
        each = self._carried.pop(handle)
        self._devices += each.devices
        self._ended.append(handle)
        self._news()


def _signal(runner: str, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(runner.partition(":")[0]), number)
