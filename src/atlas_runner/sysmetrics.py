"""What a job uses while it runs, measured from outside: CPU, memory, disk, network, GPUs.

A thread looks now and then and notes what it sees in the job's journal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from atlas_runner.measuring import Meter
from atlas_runner.workspace import Workspace
from foundations.contract import events
from foundations.execution import usage
from foundations.journal.spool import Writer

log = logging.getLogger(__name__)

# A worker joins its control groups when it has been started already.
_SETTLING = 0.2


class Sampler:
    """`pids` returns a job's processes on this machine, its main one first.

    `gpus` is given these and returns what its GPUs do.
    """

    def __init__(
        self,
        workspace: Workspace,
        pids: Callable[[], Sequence[int]],
        gpus: Callable[[Sequence[int]], dict[str, float]],
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
        pause = usage.FIRST_PAUSE
        while not self._stopping.wait(pause):
            pids = self._pids()
            if not pids:
                return
            now, then = meter.read(pids), time.monotonic()
            values = {**usage.values_between(before, now, then - looked), **self._gpus(pids)}
            self._writer.append(events.SYSTEM, {"values": values})
            before, looked = now, then
            pause = usage.longer(pause)
