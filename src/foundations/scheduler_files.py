"""What NAME.config.yaml of a scheduler may hold: where it is, and the keys of older versions."""

from __future__ import annotations

import os

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

SUFFIX = ".config.yaml"
KEYS = ("scheduler_url", "ca_file", "worker")
# Paths and addresses on the server's machine: nobody needs to know them any more.
OLD_KEYS = (
    "cache_config", "container_config_root", "job_deployment_env", "job_results_root",
    "job_store_dir_root", "log_level", "redis_url", "results_config", "ssh_config",
    "working_dir_root",
)  # fmt: skip
_HINT = "Write: scheduler_url: http://HOST:5000"


def checked(path: str, values: Dict[str, Any]) -> Dict[str, Any]:
    """Return what counts of a file's content: url, ca_file (absolute) and worker.

    Raises ConfigError.
    """
    for key in values:
        if key not in KEYS and key not in OLD_KEYS:
            from foundations.contract.request import suggestion

            raise ConfigError(
                "{}: unknown key '{}'.{}".format(path, key, suggestion(key, KEYS)),
                "Known: {}; and those of older versions, which count no more.".format(
                    ", ".join(KEYS)
                ),
            )
    url = values.get("scheduler_url")
    if not isinstance(url, str) or "://" not in url:
        raise ConfigError("{}: scheduler_url is missing or no address.".format(path), _HINT)
    worker = values.get("worker") or {}
    if not isinstance(worker, dict):
        raise ConfigError("{}: worker must be a mapping.".format(path))
    return {
        "url": url.rstrip("/"),
        "ca_file": _file(path, values.get("ca_file")),
        "worker": worker,
    }


def _file(path: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigError("{}: ca_file must be the path of a file.".format(path))
    # Beside the file that names it, wherever we are.
    return os.path.join(os.path.dirname(os.path.abspath(path)), os.path.expanduser(value))
