"""The options of a job's worker block as docker-py's `containers.create` takes them.

What comes in has been read by `foundations.contract.worker`; the image, the working directory,
limits of memory and processors, and Atlas' own mounts are for whoever starts the container.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from atlas_runner.errors import StartFailed
from foundations.contract.worker import INTERNAL
from foundations.contract.worker_mounts import PROCESSES, is_within, outside_paths, shown_socket

_NOT_OURS = ("image", "working_dir", "volumes", "mounts", *INTERNAL)
# Whatever docker-py's types can say, engines of this version take; theirs is not known here.
_API = "1.41"
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_CONSISTENCIES = ("cached", "delegated", "consistent")


def container_options(worker: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments for a container with these options.

    Folders come as `mounts`, for which the engine says what is missing instead of making it; those
    with a mode that mounts lack come as `volumes`.
    """
    found = {name: value for name, value in worker.items() if name not in _NOT_OURS}
    for name, convert in _CONVERSIONS.items():
        if name in found:
            found[name] = convert(found[name])
    mounts, volumes = _mounts(worker), _volumes(worker)
    if mounts:
        found["mounts"] = mounts
    if volumes:
        found["volumes"] = volumes
    return found


def check_sources(worker: Mapping[str, Any]) -> None:
    """Look at what is mounted once more, right before it is: links may have changed meanwhile.

    Raises StartFailed for what must not be mounted.
    """
    for source, _ in outside_paths(worker):
        if not source.startswith("/"):
            continue  # a volume of the engine
        try:
            real = os.path.realpath(source)
        except OSError as error:
            raise StartFailed(f"{source} cannot be followed: {error.strerror}.") from error
        if is_within(real, PROCESSES):
            raise StartFailed(f"{source} cannot be mounted: it shows the whole machine.")
        if shown_socket(real) is not None:
            raise StartFailed(
                f"{source} cannot be mounted: it shows the container engine's socket."
            )
        if worker.get("links_followed") and real != source:
            raise StartFailed(
                f"{source} has become a link to {real} since the job was submitted.",
                "Submit it again.",
            )


def _mounts(worker: Mapping[str, Any]) -> list[Any]:
    from docker.types import Mount  # noqa: PLC0415 - only for containers

    mounts = [
        Mount(source=one.get("source"), **{key: one[key] for key in one if key != "source"})
        for one in worker.get("mounts", ())
    ]
    for source, volume in worker.get("volumes", {}).items():
        words = volume["mode"].split(",")
        if not _relabels(words):
            more = dict(_mount_options(words))
            kind = "bind" if source.startswith("/") else "volume"
            mounts.append(Mount(target=volume["bind"], source=source, type=kind, **more))
    return mounts


def _mount_options(words: list[str]) -> Iterator[tuple[str, Any]]:
    yield "read_only", "ro" in words
    for word in words:
        if word == "nocopy":
            yield "no_copy", True
        elif word in _PROPAGATIONS:
            yield "propagation", word
        elif word in _CONSISTENCIES:
            yield "consistency", word


def _volumes(worker: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        source: dict(volume)
        for source, volume in worker.get("volumes", {}).items()
        if _relabels(volume["mode"].split(","))
    }


def _relabels(words: list[str]) -> bool:
    """Whether SELinux is to relabel the folder, which only the older way of mounting can do."""
    return "z" in words or "Z" in words


# -- conversions


def _ulimits(found: list[dict[str, Any]]) -> list[Any]:
    from docker.types import Ulimit  # noqa: PLC0415 - only for containers

    return [Ulimit(**one) for one in found]


def _device_requests(found: list[dict[str, Any]]) -> list[Any]:
    from docker.types import DeviceRequest  # noqa: PLC0415 - only for containers

    return [DeviceRequest(**one) for one in found]


def _healthcheck(found: dict[str, Any]) -> Any:
    from docker.types import Healthcheck  # noqa: PLC0415 - only for containers

    return Healthcheck(**found)


def _ports(found: dict[str, Any]) -> dict[str, Any]:
    """(address, port) is a tuple for docker-py, several ports are a list."""
    return {inner: tuple(outer) if _is_address(outer) else outer for inner, outer in found.items()}


def _is_address(outer: Any) -> bool:
    return isinstance(outer, list) and bool(outer) and isinstance(outer[0], str)


def _networking_config(found: dict[str, Any]) -> dict[str, Any]:
    from docker.types import EndpointConfig  # noqa: PLC0415 - only for containers

    return {network: EndpointConfig(_API, **one) for network, one in found.items()}


def _rates(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key.capitalize(): value for key, value in one.items()} for one in found]


_CONVERSIONS = {
    "ulimits": _ulimits,
    "device_requests": _device_requests,
    "healthcheck": _healthcheck,
    "ports": _ports,
    "networking_config": _networking_config,
    **dict.fromkeys(
        (
            "blkio_weight_device", "device_read_bps", "device_read_iops",
            "device_write_bps", "device_write_iops",
        ),
        _rates,
    ),
}  # fmt: skip
