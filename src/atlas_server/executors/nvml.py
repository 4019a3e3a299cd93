"""Asks the NVIDIA driver for its GPUs: a program of its own, which prints what it learns as JSON.

    python -m atlas_server.executors.nvml SECONDS

Not in the server's process: the driver's library may hang or crash, keeps the devices open, and
does not survive an update of the driver. It is given SECONDS to answer.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pynvml

# What the driver asks for before it trusts a device again.
_RECOVERY = {
    1: "it needs a reset",
    2: "the machine needs a reboot",
    3: "it is to be drained",
    4: "it is to be drained and reset",
    5: "its IMEX domain needs recovery",
    6: "its bus needs a reset",
    7: "the machine needs a reboot",
}
_RECOVERY_ACTION = getattr(pynvml, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION", 230)


def main() -> int:
    """Print {"devices": [...], "trouble": ...}; each device as `executors.driver.Device`."""
    signal.alarm(int(sys.argv[1]))
    json.dump(_answer(), sys.stdout)
    return 0


def _answer() -> dict[str, Any]:
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        found = [_gpu(index) for index in range(count)]
    except pynvml.NVMLError as error:
        not_loaded = error.args[0] == pynvml.NVML_ERROR_DRIVER_NOT_LOADED
        said = "is not loaded" if not_loaded else f"says: {_words(error)}"
        return {"devices": [], "trouble": f"the NVIDIA driver {said}"}
    return {"devices": [device for device in found if device is not None], "trouble": None}


def _gpu(index: int) -> dict[str, Any] | None:
    """One GPU; None for one that is kept from us."""
    device = {"uuid": "", "name": "", "memory": 0, "problem": None, "parts": None}
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        _describe(device, handle)
        device["problem"] = _complaint(handle)
        with _where_supported():
            if pynvml.nvmlDeviceGetMigMode(handle)[0]:
                device["parts"] = _parts(handle, device["problem"])
    except pynvml.NVMLError as error:
        if error.args[0] == pynvml.NVML_ERROR_NO_PERMISSION:
            return None
        device["problem"] = _words(error)
    return device


def _describe(device: dict[str, Any], handle: Any) -> None:
    device["uuid"] = pynvml.nvmlDeviceGetUUID(handle)
    device["name"] = pynvml.nvmlDeviceGetName(handle)
    with _where_supported():  # some have no memory of their own
        device["memory"] = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)


def _complaint(handle: Any) -> str | None:
    """What the driver has against new work on a device that answers; None: nothing."""
    with _where_supported():
        (value,) = pynvml.nvmlDeviceGetFieldValues(handle, [_RECOVERY_ACTION])
        if value.nvmlReturn == pynvml.NVML_SUCCESS and value.value.uiVal:
            return _RECOVERY.get(value.value.uiVal, "the driver wants it repaired")
    with _where_supported():
        if pynvml.nvmlDeviceGetRemappedRows(handle)[3]:
            return "its memory is broken (row remapping failed)"
    return None


def _parts(handle: Any, problem: str | None) -> list[dict[str, Any]]:
    """The MIG instances of a GPU: where there are any, programs can use nothing else of it."""
    parts: list[dict[str, Any]] = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with _passing_over(pynvml.NVML_ERROR_NOT_FOUND):  # the numbers have gaps
            part = {"memory": 0, "problem": problem, "parts": None}
            _describe(part, pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
            parts.append(part)
    return parts


def _words(error: pynvml.NVMLError) -> str:
    return str(error).rstrip(".")


@contextlib.contextmanager
def _passing_over(*codes: int) -> Iterator[None]:
    """Go on after these answers."""
    try:
        yield
    except pynvml.NVMLError as error:
        if error.args[0] not in codes:
            raise


def _where_supported() -> contextlib.AbstractContextManager[None]:
    """Pass over what this device, this driver or this version of its library cannot tell."""
    return _passing_over(pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)


if __name__ == "__main__":
    raise SystemExit(main())
