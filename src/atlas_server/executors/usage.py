"""What this machine does now: processors, memory, disk and GPUs, whoever uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

from atlas_server.domain.answers.system import GpuLive, NodeLive

# Whoever asks more often gets the last answer: asking the driver takes a tenth of a second.
_KEPT_SECONDS = 2.0
_DRIVER_SECONDS = 5


class UsageMeter:
    """Measures when asked; `folder` is on the disk that counts."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._last: NodeLive | None = None
        self._measured = 0.0

    def usage(self, *, gpus: bool) -> NodeLive:
        """Return what goes on; with `gpus` also on those that the NVIDIA driver knows."""
        with self._lock:
            if self._last is None or time.monotonic() - self._measured > _KEPT_SECONDS:
                self._last = self._measure(gpus)
                self._measured = time.monotonic()
            return self._last

    def _measure(self, gpus: bool) -> NodeLive:
        import psutil  # noqa: PLC0415 - loads slowly, and few look at the machine

        # Since it was asked last; the first time there is nothing to compare with.
        first = self._last is None
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(self._folder)
        return {
            "time": time.time(),
            "cpu_percent": psutil.cpu_percent(interval=0.1 if first else None),
            "load": os.getloadavg()[0],
            "memory_used": memory.total - memory.available,
            "memory_total": memory.total,
            "disk_used": disk.used,
            "disk_total": disk.total,
            "gpus": _gpus() if gpus else [],
        }


def _gpus() -> list[GpuLive]:
    command = [sys.executable, "-P", "-m", "atlas_server.executors.gpu_usage", str(_DRIVER_SECONDS)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_DRIVER_SECONDS + 1, check=False
        )
        found: Any = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return []  # the inventory says what is wrong with the driver
    return found
