"""Which GPUs a worker sees: the variables that programs and their libraries go by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

# Whatever a user says, none of these widens what the job was given.
_SET_BY_US = (
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
)


def device_variables(devices: Sequence[str]) -> dict[str, str]:
    """Return the variables of a worker that was given these devices, by UUID or number."""
    listed = ",".join(devices)
    variables = {
        "CUDA_VISIBLE_DEVICES": listed,
        # Numbers, where there are any, are those that nvidia-smi shows.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # What a container that the job starts by itself would see.
        "NVIDIA_VISIBLE_DEVICES": listed or "void",
    }
    if devices and all(device.isdecimal() for device in devices):
        # Declared by their owner, and perhaps of another make.
        variables["HIP_VISIBLE_DEVICES"] = listed
    return variables


def devices_of_the_node(devices: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Return what the node calls these devices, where the engine has numbered them anew.

    Slurm does for jobs that see no others; `variables` are those that it has set.
    """
    here = _names(variables.get("CUDA_VISIBLE_DEVICES"))
    there = _names(variables.get("SLURM_JOB_GPUS"))
    names = dict(zip(here, there, strict=True)) if len(here) == len(there) else {}
    return [names.get(device, device) for device in devices]


def _names(listed: str | None) -> list[str]:
    return [name for name in (listed or "").split(",") if name]


def without_devices(given: Mapping[str, str], write: Callable[[bytes], object]) -> dict[str, str]:
    """Return a user's variables without those that choose devices; the job's log says so."""
    for name in given:
        if name in _SET_BY_US:
            write(
                f"Foundations WARNING: {name} is not taken from the job's settings. The job sees "
                "the GPUs that it asked for with num_gpus.\n".encode()
            )
    return {name: value for name, value in given.items() if name not in _SET_BY_US}
