"""File, environment and flags become one frozen ServerConfig, checked once."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from atlas_server.executor_settings import DEFAULT, Settings, chosen
from foundations.contract.images import PROCESS, read_image
from foundations.contract.request import suggestion
from foundations.contract.worker_options import OPTIONS, PRIVILEGE
from foundations.errors import ConfigError

# What allow_privileges may name; `process` is to run as one, with all that the server's user may.
PRIVILEGES = {name for name, option in OPTIONS.items() if option.asks == PRIVILEGE} | {
    "*",
    "process",
}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything that can be set about a server.

    `cpus`, `memory` (bytes) and `gpus` declare what the machine has; None: what is found.
    `visible_gpus` limits the GPUs used to these, as in CUDA_VISIBLE_DEVICES; they are looked at
    every `gpu_check` seconds. Ports: 0 takes a free one. Times are in seconds. Jobs that name no
    image run in `default_image`, or as processes where it is None; `allow_...` is what all jobs
    may ask for, "*" being everything. `executors` are where jobs run. With `authentication` people
    have to say who they are; None: where others than this machine get in. `hosts` are the only
    names that it answers to then; who does nothing for `session_lifetime` seconds has to log in
    again.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 5000
    gui_port: int = 5555
    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    visible_gpus: tuple[str, ...] | None = None
    python: str = sys.executable
    heartbeat: float = 10.0
    lease: float = 30.0
    grace: float = 10.0
    patience: float = 300.0
    default_image: str | None = None
    allow_volumes: tuple[str, ...] | None = None
    allow_networks: tuple[str, ...] | None = None
    allow_privileges: tuple[str, ...] | None = None
    gpu_check: float = 30.0
    authentication: bool | None = None
    hosts: tuple[str, ...] = ()
    session_lifetime: float = 30 * 86400.0
    tensorboard_idle: float = 1800.0
    executors: tuple[Settings, ...] = DEFAULT

    @property
    def run_dir(self) -> Path:
        """Where the running server's lock, address and process number are."""
        return self.home / "run"

    @property
    def state_file(self) -> Path:
        """Tells clients and runners where the server is."""
        return self.run_dir / "server.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one server of this home."""
        return self.run_dir / "server.lock"

    @property
    def log_file(self) -> Path:
        """What the server says when it runs in the background."""
        return self.home / "logs" / "server.log"

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.home / "database" / "atlas.db"

    @property
    def blobs(self) -> Path:
        """The content store."""
        return self.home / "blobs"

    @property
    def logs(self) -> Path:
        """The logs of jobs."""
        return self.home / "job_data" / "logs"

    @property
    def archive(self) -> Path:
        """The synchronised directories of jobs."""
        return self.home / "job_data" / "archive"

    @property
    def samples(self) -> Path:
        """What was measured of jobs while they ran."""
        return self.home / "job_data" / "measured"


_FILE = Path("config") / "server.config.yaml"
_ALLOWED = ("allow_volumes", "allow_networks", "allow_privileges")
_SETTABLE = {field.name for field in fields(ServerConfig)} - {"home"}


def load(flags: dict[str, Any]) -> ServerConfig:
    """Return the configuration: flags beat environment variables, which beat the file.

    `flags` has fields of ServerConfig; those that are None were not given. Raises ConfigError.
    """
    home = Path(os.environ.get("FOUNDATIONS_HOME") or Path.home() / ".foundations").expanduser()
    file, variables = _from_file(home / _FILE), _from_environment()
    # Flags and variables name executors; only the file says more of each.
    told = file.pop("executors", None)
    named = flags.get("executors") or variables.pop("executors", None)
    values = {**file, **variables}
    values.update({name: value for name, value in flags.items() if value is not None})
    values.pop("executors", None)
    config = ServerConfig(home=home.absolute())
    for name, value in values.items():
        config = replace(config, **{name: _checked(name, value)})
    config = replace(config, executors=chosen(named, told))
    defaults = allowed_by_default(config.host)
    unsaid = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    config = replace(config, **unsaid)
    if config.authentication is None:
        return replace(config, authentication=not is_loopback(config.host))
    if not config.authentication and not is_loopback(config.host):
        raise ConfigError(
            f"This server cannot listen on {config.host} without authentication: "
            "whoever reaches it could do everything.",
            "Take `authentication: false` out of its settings, or keep it on 127.0.0.1 and reach it"
            f" through an SSH tunnel: ssh -L {config.port}:localhost:{config.port} THIS_MACHINE",
        )
    return config


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_by_default(host: str) -> dict[str, tuple[str, ...]]:
    """Return what jobs may ask for where nothing is set: everything, where nobody else gets in.

    A server that listens on more than its own machine serves people who need not own it.
    """
    if is_loopback(host):
        return dict.fromkeys(_ALLOWED, ("*",))
    return {"allow_volumes": (), "allow_networks": ("bridge", "none"), "allow_privileges": ()}


def engine_sockets() -> tuple[str, ...]:
    """Return the socket of the container engine, where it is not at a usual place."""
    address = os.environ.get("DOCKER_HOST", "")
    path = address.removeprefix("unix://")
    return (path,) if path.startswith("/") else ()


def environment(config: ServerConfig, **more: str) -> dict[str, str]:
    """Return what a process gets that is started for this home: all that we have, and `more`.

    The home is absolute there: one relative to where we are would be another where that runs.
    """
    return {**os.environ, "FOUNDATIONS_HOME": str(config.home), **more}


def parse_memory(text: str | float) -> int:
    """Return a size in bytes: `8GB`, `512MB`, plain bytes, or gigabytes up to 4096.

    Raises ConfigError.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?)i?b?\s*", str(text).lower())
    try:
        number = float(found[1]) if found else -1.0
    except ValueError:
        number = -1.0
    if found is None or number <= 0:
        raise ConfigError(f"'{text}' is not an amount of memory.", "Write it as 8GB or 512MB.")
    power = "kmgt".find(found[2]) + 1 if found[2] else (3 if number <= 4096 else 0)
    return int(number * 1024**power)


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    import yaml  # noqa: PLC0415 - most homes have no such file

    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold `name: value` lines.")
    unknown = sorted(set(values) - _SETTABLE)
    if unknown:
        known = ", ".join(sorted(_SETTABLE))
        raise ConfigError(f"{path}: unknown setting {unknown[0]!r}.", f"Settings are: {known}.")
    return values


def _from_environment() -> dict[str, Any]:
    names = {f"ATLAS_{name.upper()}": name for name in _SETTABLE - {"visible_gpus"}}
    found: dict[str, Any] = {
        name: os.environ[key] for key, name in names.items() if os.environ.get(key)
    }
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        listed = os.environ["CUDA_VISIBLE_DEVICES"]
        found["visible_gpus"] = listed.split(",")
    return found


def _checked(name: str, value: Any) -> Any:
    try:
        if name in ("port", "gui_port"):
            return _in_range(int(value), 0, 65535)
        if name == "gpus":
            return _in_range(int(value), 0, 1024)
        if name in ("memory", "authentication"):
            return parse_memory(value) if name == "memory" else _truth(value)
        if name in (
            "cpus",
            "heartbeat",
            "lease",
            "grace",
            "patience",
            "gpu_check",
            "tensorboard_idle",
            "session_lifetime",
        ):
            return _in_range(float(value), 0.01 if name != "grace" else 0.0, 1e9)
        if name in _ALLOWED or name == "hosts":
            return _names(name, value)
        if name == "default_image":
            image = read_image("The server's setting default_image", value)
            return None if image == PROCESS else image
        if name == "visible_gpus":
            if value is None:
                raise TypeError(value)
            listed = value if isinstance(value, list) else str(value).split(",")
            return tuple(str(item).strip() for item in listed)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The server's setting {name} cannot be {value!r}.") from error
    return str(value)


def _truth(value: Any) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in known:
        raise ValueError(value)
    return known[str(value).lower()]


def _names(setting: str, value: Any) -> tuple[str, ...]:
    """Read a list, or names with commas between them; `none` is nothing, but for networks."""
    listed = value.split(",") if isinstance(value, str) else list(value or ())
    names = tuple(name for item in listed if (name := str(item).strip()))
    if setting == "allow_networks":
        return names
    names = tuple(name for name in names if name != "none")
    if setting == "allow_volumes" and any("/" in name and name[0] != "/" for name in names):
        raise ValueError(value)
    unknown = sorted(set(names) - PRIVILEGES) if setting == "allow_privileges" else []
    if unknown:
        raise ConfigError(
            f"The server's setting {setting}: there is no privilege {unknown[0]!r}."
            f"{suggestion(unknown[0], PRIVILEGES)}",
            f"Known: {', '.join(sorted(PRIVILEGES))}.",
        )
    return names


def _in_range(value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise ValueError(value)
    return value
