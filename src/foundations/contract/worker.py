"""The worker block of job.config.yaml: what a job says about the process or container it runs in.

`read_worker` is the one reader, for the client before anything is sent and for the server, which
trusts no client. What it returns has one form for whatever may be written in many. Pure.
"""

from __future__ import annotations

from foundations.contract.images import PROCESS, is_former
from foundations.contract.request import suggestion
from foundations.contract.worker_mounts import check_places, outside_paths
from foundations.contract.worker_options import (
    HARMLESS,
    NETWORK,
    OPTIONS,
    OTHER_NAMES,
    OUTSIDE,
    PRIVILEGE,
    REFUSED,
)
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

DOCUMENTATION = "https://docker-py.readthedocs.io/en/stable/containers.html"
INTERNAL = ("image_id", "image_digest", "links_followed")
"""Keys that the server alone adds: the image that a rerun repeats, and that paths have no links."""

# What a process has, too; everything else is for containers.
_FOR_PROCESSES = ("image", *INTERNAL)
_KNOWN = (
    "Keys are image, volumes, environment, entrypoint, command, working_dir and the options of "
    "docker-py's run: {}"
)


class Worker:
    """A block that was read.

    `options` is what is kept of it: `image` and options of the container. The rest has a place of
    its own in a job's spec and is None where nothing was said: `memory` in bytes, `cpus` in cores.
    `remarks` are sentences that the user should see.
    """

    __slots__ = (
        "command", "cpus", "entrypoint", "environment", "gpus", "memory", "options", "remarks",
    )  # fmt: skip

    def __init__(self, options: Dict[str, Any]) -> None:
        self.options = options
        self.environment = options.pop("environment", {})  # type: Dict[str, str]
        self.entrypoint = options.pop("entrypoint", None)  # type: Optional[List[str]]
        command, args = options.pop("command", None), options.pop("args", None)
        self.command = args or command  # type: Optional[List[str]]
        self.remarks = []  # type: List[str]
        limits = options.pop("resources", {})
        self.gpus = limits.get("gpus")  # type: Optional[int]
        self.memory = _only_one(
            ("mem_limit", options.pop("mem_limit", None)),
            ("resources.limits.memory", limits.get("memory")),
        )  # type: Optional[int]
        self.cpus = _only_one(
            ("cpus", options.pop("cpus", None)),
            ("nano_cpus", _scaled(options.pop("nano_cpus", None), 1e9)),
            ("cpu_quota", _quota(options)),
            ("resources.limits.cpu", limits.get("cpus")),
        )  # type: Optional[float]


def read_worker(block: Mapping[str, Any]) -> Worker:
    """Read a worker block. Raises ConfigError that names the key and says what is right."""
    options = {}
    for key, value in block.items():
        if key not in OPTIONS:
            raise _no_such_key(key)
        if value is not None:
            options[key] = OPTIONS[key].read("worker." + key, value)
    worker = Worker(options)
    _check_network(options)
    check_places(options)
    if is_former(options.get("image", "")):
        worker.remarks.append(
            "{} was an image of the former Atlas, which no registry has any more: the job runs "
            "where jobs without an image run.".format(options.pop("image"))
        )
    return worker


def requests(options: Mapping[str, Any]) -> Iterator[Tuple[str, str, Any]]:
    """Yield what read options ask for beyond a plain container: (kind, option, detail).

    The kind is OUTSIDE (the detail is a path or the name of a volume), NETWORK (the name of one)
    or PRIVILEGE (the value).
    """
    for name, value in options.items():
        option = OPTIONS.get(name)
        if option is None or option.asks == HARMLESS or option.is_harmless(value):
            continue
        if option.asks == PRIVILEGE:
            yield PRIVILEGE, name, value
        elif option.asks == NETWORK:
            for network in value if isinstance(value, dict) else [value]:
                yield NETWORK, name, network
    for source, name in outside_paths(options):
        yield OUTSIDE, name, source


def without_effect(options: Mapping[str, Any]) -> List[str]:
    """Return the options that a job which runs as a process does not have, in their order."""
    return [name for name in options if name not in _FOR_PROCESSES]


def is_container(options: Mapping[str, Any]) -> bool:
    """Whether read options name an image to run in."""
    return options.get("image", PROCESS) != PROCESS


def merged(block: Mapping[str, Any], more: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a block with keys of another over it; of mappings only what the other names."""
    result = dict(block)
    for key, value in more.items():
        known = result.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            value = {**known, **value}
        result[key] = value
    return result


def _no_such_key(key: Any) -> ConfigError:
    if key in REFUSED:
        reason, instead = REFUSED[key]
        return ConfigError("worker.{} cannot be set: {}.".format(key, reason), instead)
    plain = str(key).replace("-", "_")
    other = OTHER_NAMES.get(plain.lower().replace("_", ""))
    if other == "num_gpus":
        near = " GPUs are asked for with 'num_gpus', outside of the worker block."
    elif other:
        near = " Did you mean '{}'?".format(other)
    else:
        near = suggestion(plain, OPTIONS)
    return ConfigError("unknown key 'worker.{}'.{}".format(key, near), _KNOWN.format(DOCUMENTATION))


def _check_network(options: Dict[str, Any]) -> None:
    network, mode = options.get("network"), options.get("network_mode")
    if network and mode:
        raise ConfigError("worker.network and worker.network_mode say one thing: give one of them.")
    configured = options.get("networking_config")
    if configured is not None and network not in configured:
        raise ConfigError(
            "worker.networking_config is for a network that worker.network names.",
            "Write: network: {}".format(next(iter(configured), "NAME")),
        )
    if "host" in (network, mode) and options.get("ports"):
        raise ConfigError(
            "worker.ports: on the machine's own network every port is open already.",
            "Leave out ports, or network_mode: host.",
        )


def _only_one(*said: Tuple[str, Any]) -> Any:
    given = [(name, value) for name, value in said if value is not None]
    if len({value for _, value in given}) > 1:
        names = " and ".join("worker." + name for name, _ in given)
        raise ConfigError("{} are one thing: give one of them.".format(names))
    return given[0][1] if given else None


def _scaled(value: Optional[int], divisor: float) -> Optional[float]:
    return None if value is None else value / divisor


def _quota(options: Dict[str, Any]) -> Optional[float]:
    quota, period = options.pop("cpu_quota", None), options.pop("cpu_period", None)
    if period is not None and quota is None:
        raise ConfigError("worker.cpu_period is nothing without cpu_quota.", "Better give cpus.")
    return _scaled(quota, period or 100_000)
