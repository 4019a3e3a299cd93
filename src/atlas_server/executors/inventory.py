"""What this machine has: CPUs, memory, GPUs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from atlas_server.domain.resources import Gpu, Node
from atlas_server.executors.driver import NO_DRIVER, NOT_LOADED, Driver
from atlas_server.executors.gpu_watch import GpuWatch, tell_of_change
from atlas_server.executors.gpus import GpuPool


@dataclass(frozen=True, slots=True)
class DeclaredInventory:
    """What the owner says the machine has; None: what is found.

    `visible` are the GPUs that may be used, as in CUDA_VISIBLE_DEVICES. They are looked at every
    `gpu_check` seconds.
    """

    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    visible: tuple[str, ...] | None = None
    gpu_check: float = 30.0


class Inventory:
    """This machine as a node, kept up to date."""

    def __init__(self, declared: DeclaredInventory) -> None:
        self.node = Node(
            name=socket.gethostname() or "localhost",
            cpus=declared.cpus if declared.cpus is not None else _usable_cpus(),
            memory=declared.memory if declared.memory is not None else _usable_memory(),
        )
        self._watch: GpuWatch | None = None
        self._find_gpus(declared)

    def start(self, changed: Callable[[], None]) -> None:
        """Keep an eye on the GPUs; `changed` is called when there is news of them."""
        if self._watch is not None:
            self._watch.start(changed)

    def doubt_gpus(self) -> None:
        """Look at the GPUs soon: something that used them has ended."""
        if self._watch is not None:
            self._watch.look_soon()

    def close(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.close()

    def _find_gpus(self, declared: DeclaredInventory) -> None:
        if declared.gpus == 0:
            self._set_gpus((), "the server is set to use none")
            return
        driver = Driver()
        if not driver.is_installed():
            self._set_gpus(_declared_gpus(declared), None if declared.gpus else NO_DRIVER)
            return
        pool = GpuPool(declared.visible, declared.gpus)
        look = driver.look()
        pool.take_in(look)
        # What the owner says counts: of devices of another make we cannot know. But where the
        # driver only fails to answer, running jobs may have devices that it alone can tell.
        if len(pool.gpus) < (declared.gpus or 0) and look.trouble in (None, NOT_LOADED):
            self._set_gpus(_declared_gpus(declared), None)
            return
        self._watch = GpuWatch(driver, pool, declared.gpu_check, self._set_gpus)
        tell_of_change((), pool.gpus)
        self._set_gpus(pool.gpus, pool.trouble)

    def _set_gpus(self, gpus: Sequence[Gpu], trouble: str | None) -> None:
        # One assignment: who asks meanwhile sees the old machine or the new one.
        self.node = replace(self.node, gpus=tuple(gpus), gpu_trouble=trouble)


def _declared_gpus(declared: DeclaredInventory) -> list[Gpu]:
    """Devices that only their owner knows: what he named, or the first numbers."""
    count = declared.gpus or 0
    names = [entry for entry in declared.visible or () if entry]
    ids = names if len(set(names)) >= count else map(str, range(count))
    return [Gpu(one, "declared", 0, number=one) for one in list(dict.fromkeys(ids))[:count]]


def _usable_cpus() -> float:
    # A process may be confined to some of the machine's CPUs.
    return float(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def _usable_memory() -> int:
    import psutil  # noqa: PLC0415 - loads slowly, needed once

    return int(psutil.virtual_memory().total)
