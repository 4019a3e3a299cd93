"""What the GPUs of a job do, by NVML: asked by a program of its own.

    python -m atlas_runner.gpumetrics SECONDS UUID...

prints a line of JSON every SECONDS, until its input is closed. Not in the runner's process: the
driver's library may hang or crash, and does not survive an update of the driver.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)

_PATIENCE = 1.0


class GpuWatch:
    """The program, for the GPUs with these UUIDs."""

    def __init__(self, uuids: Sequence[str], interval: float) -> None:
        self._uuids = uuids
        self._interval = interval
        self._program: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._newest: dict[str, float] = {}

    def start(self) -> None:
        """Begin to look. Before the worker starts: what is born after belongs to that."""
        command = [sys.executable, "-P", "-m", "atlas_runner.gpumetrics", str(self._interval)]
        try:
            self._program = subprocess.Popen(
                [*command, *self._uuids],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("The job's GPUs are not measured: %s", error)
            return
        assert self._program.stdout is not None
        os.set_blocking(self._program.stdout.fileno(), False)

    def read(self) -> dict[str, float]:
        """Return what was seen last: see `values`; empty where nothing is known (any more)."""
        if self._program is None:
            return {}
        assert self._program.stdout is not None
        while True:
            try:
                data = os.read(self._program.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                break
            if not data:  # it has ended
                return {}
            *lines, self._unread = (self._unread + data).split(b"\n")
            if lines:
                self._newest = json.loads(lines[-1])
        newest, self._newest = self._newest, {}
        return newest

    def close(self) -> None:
        """End the program."""
        if self._program is None:
            return
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        try:
            self._program.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._program.kill()  # it hangs in the driver, and may go on doing so
        self._program.stdout.close()


def values(devices: Sequence[tuple[int, Any]]) -> dict[str, float]:
    """Return `gpu0_utilization` (percent), `_memory` (bytes), `_power` (W) and `_temperature`.

    The numbers count the job's own GPUs. What a device does not tell is left out.
    """
    import pynvml  # noqa: PLC0415 - not in the runner's process

    found: dict[str, float] = {}

    def put(name: str, ask: Callable[[], Any]) -> None:
        with contextlib.suppress(pynvml.NVMLError):
            found[name] = float(ask())

    for number, device in devices:
        name = f"gpu{number}"
        put(f"{name}_utilization", lambda d=device: pynvml.nvmlDeviceGetUtilizationRates(d).gpu)
        put(f"{name}_memory", lambda d=device: pynvml.nvmlDeviceGetMemoryInfo(d).used)
        put(f"{name}_power", lambda d=device: pynvml.nvmlDeviceGetPowerUsage(d) / 1000)
        put(
            f"{name}_temperature",
            lambda d=device: pynvml.nvmlDeviceGetTemperature(d, pynvml.NVML_TEMPERATURE_GPU),
        )
    return found


def main() -> None:
    """Print what the GPUs do."""
    import pynvml  # noqa: PLC0415 - not in the runner's process

    interval, uuids = float(sys.argv[1]), sys.argv[2:]
    pynvml.nvmlInit()
    devices = []
    for number, uuid in enumerate(uuids):
        with contextlib.suppress(pynvml.NVMLError):
            devices.append((number, pynvml.nvmlDeviceGetHandleByUUID(uuid)))
    while devices and not select.select([sys.stdin], [], [], interval)[0]:
        sys.stdout.write(json.dumps(values(devices)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
