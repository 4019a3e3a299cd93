"""What a job uses while it runs, measured from outside: CPU, memory, disk, network, GPUs.

A thread looks now and then and notes what it sees in the job's journal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from atlas_runner.gpumetrics import GpuWatch
from atlas_runner.measuring import Counters, Meter
from atlas_runner.workspace import Workspace
from foundations.contract import events
from foundations.journal.spool import Writer

log = logging.getLogger(__name__)

# A worker joins its control groups when it has been started already.
_SETTLING = 0.2
# Seconds between two looks: few at first, so that a short job shows something.
FIRST_PAUSE = 1.0
_GROWTH = 1.5
LONGEST_PAUSE = 10.0
_RATES = ("disk_read", "disk_written", "network_received", "network_sent")


class Sampler:
    """`pids` returns a job's processes on this machine, its main one first."""

    def __init__(
        self, workspace: Workspace, pids: Callable[[], Sequence[int]], gpus: GpuWatch
    ) -> None:
        self._writer = Writer(str(workspace.journal_dir))
        self._pids = pids
        self._gpus = gpus
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sysmetrics", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._sample()
        except Exception:
            # The job goes on without being measured.
            log.exception("The job cannot be measured.")

    def _sample(self) -> None:
        self._stopping.wait(_SETTLING)
        pids = self._pids()
        if not pids:
            return
        meter = Meter(pids[0])
        before, looked = meter.read(pids), time.monotonic()
        pause = FIRST_PAUSE
        while not self._stopping.wait(pause):
            pids = self._pids()
            if not pids:
                return
            now, then = meter.read(pids), time.monotonic()
            values = {**_values(before, now, then - looked), **self._gpus.read()}
            self._writer.append(events.SYSTEM, {"values": values})
            before, looked = now, then
            pause = min(LONGEST_PAUSE, pause * _GROWTH)


def _values(before: Counters, now: Counters, seconds: float) -> dict[str, float]:
    """Return `cpu` in percent of one core, sizes in bytes, and rates in bytes a second."""
    found: dict[str, float] = {
        "cpu": round(100 * max(0.0, now.cpu - before.cpu) / seconds, 1),
        "memory": now.memory,
        "processes": now.processes,
    }
    for name in _RATES:
        old, new = getattr(before, name), getattr(now, name)
        if old is not None and new is not None:
            found[name] = round(max(0, new - old) / seconds)
    return found
