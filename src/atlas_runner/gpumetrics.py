"""What the GPUs of a job do, by NVML."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)


class Devices:
    """The GPUs with these UUIDs, as far as NVML knows them."""

    def __init__(self, uuids: Sequence[str]) -> None:
        self._handles: list[tuple[int, Any]] = []
        if uuids:
            self._open(uuids)

    def read(self) -> dict[str, float]:
        """Return `gpu0_utilization` (percent), `_memory` (bytes), `_power` (W), `_temperature`.

        The numbers count the job's own GPUs. What a device does not tell is left out.
        """
        if not self._handles:
            return {}
        import pynvml  # noqa: PLC0415 - only where there are devices

        found: dict[str, float] = {}

        def put(name: str, ask: Callable[[], Any]) -> None:
            with contextlib.suppress(pynvml.NVMLError):
                found[name] = float(ask())

        for number, device in self._handles:
            name = f"gpu{number}"
            put(f"{name}_utilization", lambda d=device: pynvml.nvmlDeviceGetUtilizationRates(d).gpu)
            put(f"{name}_memory", lambda d=device: pynvml.nvmlDeviceGetMemoryInfo(d).used)
            put(f"{name}_power", lambda d=device: pynvml.nvmlDeviceGetPowerUsage(d) / 1000)
            put(
                f"{name}_temperature",
                lambda d=device: pynvml.nvmlDeviceGetTemperature(d, pynvml.NVML_TEMPERATURE_GPU),
            )
        return found

    def _open(self, uuids: Sequence[str]) -> None:
        import pynvml  # noqa: PLC0415 - only where there are devices

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            log.warning("The job's GPUs are not measured: %s", error)
            return
        for number, uuid in enumerate(uuids):
            with contextlib.suppress(pynvml.NVMLError):
                self._handles.append((number, pynvml.nvmlDeviceGetHandleByUUID(uuid)))
