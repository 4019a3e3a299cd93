"""The GPUs of this machine that jobs may use, from one look at the driver to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from atlas_server.domain.resources import Gpu
from atlas_server.executors.driver import Device, Look
from atlas_server.executors.visible import choose, key_of

_GONE = "it is not there any more"


@dataclass(frozen=True, slots=True)
class _Known:
    """A device, and the key of the GPU that it is or is a part of."""

    gpu: Gpu
    whole: str


class GpuPool:
    """What is known of the devices: one that was seen once stays, in order or out of order.

    `gpus` are in the driver's order; `trouble` says why there are none, or fewer than asked for.
    `visible` names those that may be used, None all of them; what its numbers mean is settled when
    the driver first shows devices, for they move when one is lost. `limit`: so many at most.
    """

    def __init__(self, visible: Sequence[str] | None = None, limit: int | None = None) -> None:
        self.gpus: tuple[Gpu, ...] = ()
        self.trouble: str | None = None
        self._visible = visible
        self._limit = limit
        self._chosen: list[str] | None = None
        self._complaint: str | None = None
        self._known: dict[str, _Known] = {}

    def take_in(self, look: Look) -> None:
        """Bring `gpus` and `trouble` up to date."""
        if look.trouble is not None:
            self.gpus = tuple(replace(gpu, problem=look.trouble) for gpu in self.gpus)
            self.trouble = look.trouble
            return
        if self._chosen is None and self._visible is not None and look.devices:
            self._chosen, self._complaint = choose(look.devices, self._visible)
        found = {known.gpu.uuid: known for known in self._usable(look.devices)}
        # One of which not even the UUID can be told is most likely one that is missing.
        nameless = list(self._nameless(look.devices))
        kept = self._remembered(found, look.devices, nameless)
        self._known = {**kept, **found}
        missing = sum(uuid not in found for uuid in kept)
        gpus = [known.gpu for known in self._known.values()] + nameless[missing:]
        self.gpus = tuple(gpus[: self._limit])
        self.trouble = self._complaint or (None if gpus else self._why_none(look.devices))

    def _usable(self, devices: Sequence[Device]) -> Iterator[_Known]:
        """What jobs can be given: GPUs, and of those that are divided their parts."""
        divided = {known.whole for uuid, known in self._known.items() if uuid != known.whole}
        for index, whole in enumerate(devices):
            key = key_of(index, whole)
            if whole.problem and whole.parts is None and key in divided:
                continue  # it cannot even tell its parts any more; they are remembered
            for number, device in _devices(index, whole):
                if device.uuid and self._may_be_used(key, device.uuid):
                    yield _Known(self._described(number, device), key)

    def _may_be_used(self, *keys: str) -> bool:
        return self._visible is None or any(key in (self._chosen or ()) for key in keys)

    def _described(self, number: str, device: Device) -> Gpu:
        """A device with what was known of it before, which a broken one cannot tell any more."""
        if device.uuid not in self._known:
            return Gpu(device.uuid, device.name, device.memory, device.problem, number)
        known = self._known[device.uuid].gpu
        name, memory = device.name or known.name, device.memory or known.memory
        return replace(known, name=name, memory=memory, problem=device.problem)

    def _nameless(self, devices: Sequence[Device]) -> Iterator[Gpu]:
        for index, device in enumerate(devices):
            key = key_of(index, device)
            if not device.uuid and self._may_be_used(key):
                yield Gpu(key, "", 0, device.problem or _GONE, str(index))

    def _remembered(
        self, found: dict[str, _Known], devices: Sequence[Device], nameless: Sequence[Gpu]
    ) -> dict[str, _Known]:
        """The known devices in their order: those found, and those that are missing."""
        problems = {key_of(i, device): device.problem for i, device in enumerate(devices)}
        lost = nameless[0].problem if nameless else _GONE
        kept: dict[str, _Known] = {}
        for uuid, known in self._known.items():
            if uuid in found:
                kept[uuid] = found[uuid]
            elif problem := problems.get(known.whole, lost):
                kept[uuid] = replace(known, gpu=replace(known.gpu, problem=problem))
            # Else the GPU is in order and divided in another way.
        return kept

    def _why_none(self, devices: Sequence[Device]) -> str:
        if not devices:
            return "the NVIDIA driver knows of no GPU"
        if self._visible is not None:
            return f"CUDA_VISIBLE_DEVICES is '{','.join(self._visible)}'"
        return "its GPUs are in MIG mode and have no instances"


def _devices(index: int, whole: Device) -> list[tuple[str, Device]]:
    """A GPU, or its parts where it is divided, with their numbers."""
    if whole.parts is None:
        return [(str(index), whole)]
    return [(f"{index}.{part}", device) for part, device in enumerate(whole.parts)]
