"""What this machine has: CPUs, memory, GPUs."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass

from atlas_server.domain.resources import Gpu, Node

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeclaredInventory:
    """What the owner says the machine has; None: what is found. `visible` are GPU indices/UUIDs."""

    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    visible: tuple[str, ...] | None = None


def this_machine(declared: DeclaredInventory) -> Node:
    """Return this machine as one node."""
    return Node(
        name=socket.gethostname() or "localhost",
        cpus=declared.cpus if declared.cpus is not None else _usable_cpus(),
        memory=declared.memory if declared.memory is not None else _usable_memory(),
        gpus=_gpus(declared),
    )


def _usable_cpus() -> float:
    # A process may be confined to some of the machine's CPUs.
    return float(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def _usable_memory() -> int:
    import psutil  # noqa: PLC0415 - loads slowly, needed once

    return int(psutil.virtual_memory().total)


def _gpus(declared: DeclaredInventory) -> tuple[Gpu, ...]:
    if declared.gpus is not None:
        return tuple(Gpu(str(index), "declared", 0) for index in range(declared.gpus))
    found = _nvml_gpus()
    if declared.visible is None:
        return found
    return tuple(
        gpu
        for index, gpu in enumerate(found)
        if str(index) in declared.visible
        or any(gpu.uuid.startswith(v) for v in declared.visible if v)
    )


def _nvml_gpus() -> tuple[Gpu, ...]:
    import pynvml  # noqa: PLC0415 - needed once, at start

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()  # no NVIDIA driver here
    try:
        count = pynvml.nvmlDeviceGetCount()
        return tuple(_gpu(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count))
    except pynvml.NVMLError as error:
        log.warning("The NVIDIA driver answered '%s'; no GPU is used.", error)
        return ()
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: object) -> Gpu:
    import pynvml  # noqa: PLC0415 - as above

    return Gpu(
        _text(pynvml.nvmlDeviceGetUUID(handle)),
        _text(pynvml.nvmlDeviceGetName(handle)),
        int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
