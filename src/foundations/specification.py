"""What a folder's job.config.yaml and its submitter say, as the JSON form of a JobSpec."""

from __future__ import annotations

import json
import os
import sys

from foundations import config
from foundations.contract.request import parse_duration, parse_memory, words
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

# Of foundations.contract.cluster, which few jobs need.
_CLUSTER = (
    "partition", "account", "qos", "constraint", "sbatch", "pilot", "node_labels", "node_resources",
)  # fmt: skip


class _NoWorker:
    """What there is to know of an empty worker block: reading others loads modules."""

    command = entrypoint = memory = cpus = gpus = None

    def __init__(self) -> None:
        self.options: Dict[str, Any] = {}
        self.environment: Dict[str, str] = {}
        self.remarks: List[str] = []


def read_block(file: Dict[str, Any], said: Dict[str, Any], base: Dict[str, Any]) -> Any:
    """Return the worker block that the file and whoever submits write together, read.

    `base` is what the scheduler's submission config says for all of its jobs.
    """
    more = said.get("worker") or {}
    if not isinstance(more, dict):
        raise ConfigError("worker must be a mapping, as in job.config.yaml, not {!r}.".format(more))
    if "image" in said:
        more = {**more, "image": said["image"]}
    if not file and not more and not base:
        return _NoWorker()
    from foundations.contract.worker import merged, read_worker

    return read_worker(merged(merged(base, file), more))


def job_spec(folder: str, values: Dict[str, Any], worker: Any) -> Dict[str, Any]:
    """Return the JSON form of a JobSpec, without its bundle."""
    command = words("command", values.get("command") or worker.command)
    environment = {**worker.environment, **(values.get("environment") or {})}
    install = values.get("install_requirements")
    project = values.get("project_name") or config.own_project(folder)
    spec = {
        "project": str(project or os.path.basename(folder) or "default"),
        "bundle": "",
        "command": command,
        "entrypoint": words("entrypoint", values.get("entrypoint") or worker.entrypoint) or None,
        "name": values.get("name"),
        "user": config.user(),
        "params": plain_params(values.get("params")),
        "tags": _tags(values.get("tags")),
        "environment": {
            str(key): _text("environment", key, value) for key, value in environment.items()
        },
        "resources": _resources(values, worker),
        "priority": values.get("priority", 0),
        "timeout": parse_duration(values["timeout"]) if values.get("timeout") is not None else None,
        "retries": values.get("retries", 0),
        "interpreter": config.interpreter(),
        "install_requirements": install,
        "worker": worker.options,
        "origin": {
            "host": os.uname().nodename,
            "directory": folder,
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "client": _version(),
            "environment_keys": config.environment_keys(),
        },
        "parent": config.parent_job(),
    }
    spec.update(_destination(values))
    return spec


def _destination(values: Dict[str, Any]) -> Dict[str, Any]:
    """Return where the job asks to run; nothing where it does not: older servers do not ask."""
    found: Dict[str, Any] = {}
    if (values.get("num_nodes") or 1) != 1:
        found["num_nodes"] = values["num_nodes"]
    if values.get("executor"):
        found["executor"] = str(values["executor"])
    if any(values.get(key) for key in _CLUSTER):
        from foundations.contract.cluster import read_cluster

        found["cluster"] = read_cluster(values)
    return found


def _resources(values: Dict[str, Any], worker: Any) -> Dict[str, Any]:
    cpus = values.get("num_cpus", worker.cpus)
    ram = values.get("ram")
    found = {
        "cpus": 1.0 if cpus is None else cpus,
        "memory": worker.memory if ram is None else parse_memory(ram),
        "gpus": values.get("num_gpus", worker.gpus or 0),
    }
    if cpus is not None:
        found["cpu_limit"] = cpus  # in a container what was asked for is also the most
    return found


def _version() -> str:
    from foundations._version import __version__

    return __version__


def plain_params(value: Any) -> Optional[Dict[str, Any]]:
    """Return parameters as JSON can hold them, None where there are none. Raises ConfigError."""
    if not value:
        return None
    if not isinstance(value, dict):
        raise ConfigError("params must be a dict, not {!r}.".format(value))
    try:
        return json.loads(json.dumps(value, default=_plain))
    except TypeError as error:
        raise ConfigError("params must hold what JSON can: {}.".format(error)) from error


def _plain(value: Any) -> Any:
    from foundations.scalars import NotScalar, plain_scalar

    try:
        return plain_scalar(value)
    except NotScalar:
        raise TypeError("{!r} cannot be written as JSON".format(value)) from None


def _tags(value: Any) -> Dict[str, str]:
    if not value:
        return {}
    if isinstance(value, dict):
        return {str(key): _text("tags", key, item) for key, item in value.items()}
    return {str(key): "" for key in value}


def _text(what: str, key: Any, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise ConfigError("{}: the value of {} must be text, not {!r}.".format(what, key, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
