"""Which GPUs a list like that of CUDA_VISIBLE_DEVICES names."""

from __future__ import annotations

from collections.abc import Sequence

from atlas_server.executors.driver import Device

# How people say "none".
_NONE = ("", "-1", "NoDevFiles")


def key_of(index: int, device: Device) -> str:
    """What a device is known by: its UUID, or its place where that cannot be told."""
    return device.uuid or f"unknown-{index}"


def choose(devices: Sequence[Device], visible: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the keys of the devices or MIG instances that are named, and what is wrong if any is.

    As CUDA reads it: numbers are those of nvidia-smi, UUIDs may be cut short as long as they fit
    one device alone, and the list ends at the first entry that names none. What is named twice
    counts once.
    """
    chosen: list[str] = []
    for entry in visible:
        found = _named(devices, entry)
        if len(found) == 1:
            chosen += [key for key in found if key not in chosen]
            continue
        if entry in _NONE:
            return chosen, None
        what = "fits several GPUs" if found else "is no GPU of this machine"
        rest = " and ends the list" if entry != visible[-1] else ""
        return chosen, f"'{entry}' in CUDA_VISIBLE_DEVICES {what}{rest}"
    return chosen, None


def _named(devices: Sequence[Device], entry: str) -> list[str]:
    if entry.isdecimal():
        return [key_of(i, device) for i, device in enumerate(devices) if i == int(entry)]
    if not entry.startswith(("GPU-", "MIG-")):
        return []
    uuids = [part.uuid for device in devices for part in (device, *(device.parts or ()))]
    return [entry] if entry in uuids else [uuid for uuid in uuids if uuid.startswith(entry)]
