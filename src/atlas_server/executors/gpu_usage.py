"""Asks the NVIDIA driver what its GPUs do now: a program of its own, as `executors.nvml` is.

    python -m atlas_server.executors.gpu_usage SECONDS

It prints a JSON list of {uuid, percent, memory_used, memory_total, watts}; null where a device does
not tell.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import pynvml


def main() -> int:
    """Print what each GPU does; an empty list where the driver does not answer."""
    signal.alarm(int(sys.argv[1]))
    found: list[dict[str, Any]] = []
    try:
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            found.append(_usage(pynvml.nvmlDeviceGetHandleByIndex(index)))
    except pynvml.NVMLError:
        pass  # the inventory says what is wrong with the driver
    json.dump(found, sys.stdout)
    return 0


def _usage(handle: Any) -> dict[str, Any]:
    memory = _told(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    power = _told(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    busy = _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    return {
        "uuid": pynvml.nvmlDeviceGetUUID(handle),
        "percent": None if busy is None else float(busy.gpu),
        "memory_used": None if memory is None else int(memory.used),
        "memory_total": None if memory is None else int(memory.total),
        "watts": None if power is None else power / 1000.0,
    }


def _told(ask: Callable[[], Any]) -> Any:
    """The answer; None where the device or the driver cannot give it."""
    try:
        return ask()
    except pynvml.NVMLError:
        return None


if __name__ == "__main__":
    raise SystemExit(main())
