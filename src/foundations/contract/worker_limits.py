"""What the worker block may use of processors, memory and devices: readers. Pure."""

from __future__ import annotations

from foundations.contract.request import suggestion
from foundations.contract.worker_mounts import USE_NUM_GPUS
from foundations.contract.worker_values import (
    cores,
    items,
    mapping,
    record,
    scalar,
    size,
    text,
    texts,
    whole,
    wrong,
)
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from foundations.contract.worker_values import Reader

_limits_and_requests = record("", limits=mapping(scalar), requests=mapping(scalar))


def resources(where: str, value: Any) -> Dict[str, Any]:
    """Read the limits of a block written for Kubernetes."""
    found = _limits_and_requests(where, value)
    limits, requests = found.get("limits", {}), found.get("requests", {})
    for name in [*limits, *requests]:
        if name not in ("memory", "cpu", "nvidia.com/gpu"):
            raise ConfigError(
                "{}: Atlas does not know '{}'.".format(where, name),
                "It knows memory, cpu and nvidia.com/gpu; better write ram, num_cpus and num_gpus.",
            )
    if set(requests) - set(limits):
        raise ConfigError(
            "{}.requests: Atlas keeps one amount, which is the limit, too.".format(where),
            "Write limits instead, or ram, num_cpus and num_gpus outside of the worker block.",
        )
    read = {}  # type: Dict[str, Any]
    if "memory" in limits:
        read["memory"] = size(where + ".limits.memory", limits["memory"])
    if "cpu" in limits:
        read["cpus"] = _kubernetes_cores(where + ".limits.cpu", limits["cpu"])
    if "nvidia.com/gpu" in limits:
        read["gpus"] = _number(whole(0, 1024), where + ".limits.nvidia.com/gpu", limits)
    return read


def _number(read: Reader, where: str, limits: Dict[str, Any]) -> Any:
    value = limits["nvidia.com/gpu"]
    return read(where, int(value) if value.isdigit() else value)


def _kubernetes_cores(where: str, value: str) -> float:
    thousandths = value.endswith("m")
    try:
        number = float(value[:-1] if thousandths else value)
    except ValueError:
        raise wrong(where, "a number of cores, as in 1.5 or 500m", value) from None
    return cores(where, number / 1000 if thousandths else number)


# Names of limits that Linux knows.
_LIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
    "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
_amount = whole(-1)
_soft_and_hard = record("", name=text, soft=_amount, hard=_amount)


def ulimits(where: str, value: Any) -> List[Dict[str, Any]]:
    """Read [{name, soft, hard}], or {name: number or {soft, hard}}."""
    if isinstance(value, dict) and not {"name", "Name"} & set(value):
        value = [
            dict(item, name=name) if isinstance(item, dict) else {"name": name, "soft": item}
            for name, item in value.items()
        ]
    return items(_ulimit)(where, value)


def _ulimit(where: str, value: Any) -> Dict[str, Any]:
    found = _soft_and_hard(where, value)
    name = found.get("name")
    if name not in _LIMITS:
        near = suggestion(name, _LIMITS)
        raise ConfigError(
            "{}: there is no limit '{}'.{}".format(where, name, near),
            "Known: {}.".format(", ".join(_LIMITS)),
        )
    if "soft" not in found and "hard" not in found:
        raise ConfigError("{} lacks 'soft' or 'hard'.".format(where))
    soft = found.setdefault("soft", found.get("hard"))
    hard = found.setdefault("hard", soft)
    if hard != -1 and (soft == -1 or soft > hard):
        raise ConfigError("{}: soft must not be more than hard.".format(where))
    return found


_request = record(
    "",
    driver=text, count=whole(-1), device_ids=texts, capabilities=items(texts),
    options=mapping(scalar),
)  # fmt: skip


def _device_request(where: str, value: Any) -> Dict[str, Any]:
    found = _request(where, value)
    kinds = {word for group in found.get("capabilities", ()) for word in group}
    if found.get("driver") == "nvidia" or "gpu" in kinds or _names_gpus(found):
        raise ConfigError("{}: GPUs are given out by the scheduler.".format(where), USE_NUM_GPUS)
    return found


def _names_gpus(request: Dict[str, Any]) -> bool:
    return any("gpu" in one.lower() for one in request.get("device_ids", ()))


device_requests = items(_device_request)
rates = items(record("path rate", path=text, rate=whole(0)))
weights = items(record("path weight", path=text, weight=whole(10, 1000)))


def cpuset(where: str, value: Any) -> str:
    """Read numbers of processors, as in 0-3 or 0,2."""
    found = scalar(where, value)
    if not found or set(found) - set("0123456789,-"):
        raise wrong(where, "numbers of processors, as in '0-3' or '0,2'", value)
    return found
