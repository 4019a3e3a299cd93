"""File, environment and flags become one frozen ServerConfig, checked once."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from atlas_server.executor_settings import DEFAULT, Settings, chosen
from atlas_server.setting_values import ALLOWED, UNIX, checked
from foundations.errors import ConfigError
from foundations.host_settings import pip_settings


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything that can be set about a server.

    `cpus`, `memory` (bytes) and `gpus` declare what the machine has; None: what is found.
    `visible_gpus` limits the GPUs used to these, as in CUDA_VISIBLE_DEVICES; they are looked at
    every `gpu_check` seconds. Ports: 0 takes a free one. Times are in seconds. Jobs that name no
    image run in `default_image`, or as processes where it is None; `allow_...` is what all jobs
    may ask for, "*" being everything. With a `tls_certificate` only TLS is spoken; `root_path` is
    where a proxy shows the server, `trusted_proxies` the networks whose word on requests counts.
    With `authentication` people have to say who they are; None: where others than this machine get
    in. `hosts` are the only names that it answers to then; who does nothing for `session_lifetime`
    seconds has to log in again. `role` is what this process does of a server, `name` what it is
    called among the others; where it schedules no more another one takes over after `takeover`
    seconds. `limits` are those of users and projects that nobody has set otherwise; what users held
    counts half as much `fair_half_life` seconds later (0: not at all). `log_format`: text or json.
    `executors` are where jobs run. `retention` says what is kept for how long.
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
    limits: Any = None
    retention: Any = None
    fair_half_life: float = 86400.0
    log_format: str = "text"
    # It may hold a password, which nothing shows.
    database_url: str | None = field(default=None, repr=False)
    role: str = "all"
    name: str = "server"
    takeover: float = 5.0
    executors: tuple[Settings, ...] = DEFAULT
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    root_path: str = ""
    trusted_proxies: tuple[str, ...] = ()

    @property
    def run_dir(self) -> Path:
        """Where the running server's lock, address and process number are."""
        return self.home / "run"

    @property
    def state_file(self) -> Path:
        """What this process says of itself."""
        return self.run_dir / f"{self._file}.json"

    @property
    def signpost(self) -> Path:
        """Tells clients and runners where the server is: the state of a process with an API."""
        return self.run_dir / "server.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one process of this name and home."""
        return self.run_dir / f"{self._file}.lock"

    @property
    def log_file(self) -> Path:
        """What the server says when it runs in the background."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def socket_dir(self) -> Path:
        """Where the socket is on which jobs reach this process."""
        return self.run_dir if self.name == _SERVER else self.run_dir / self.name

    @property
    def _file(self) -> str:
        return self.name if self.name == _SERVER else f"{_PROCESS}{self.name}"

    @property
    def processes(self) -> list[str]:
        """The names of the processes that there are or were, this one's among them."""
        found = {
            lock.stem.removeprefix(_PROCESS) for lock in self.run_dir.glob(f"{_PROCESS}*.lock")
        }
        return sorted({_SERVER, self.name, *found})

    @property
    def serves(self) -> bool:
        """Whether this process has an API."""
        return self.role != "scheduler"

    @property
    def schedules(self) -> bool:
        """Whether this process starts jobs, where no other one does."""
        return self.role != "api"

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.home / "database" / "atlas.db"

    @property
    def last_backup(self) -> Path:
        """When and where this home was last saved to."""
        return self.home / "database" / "last-backup.json"

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


_SERVER, _PROCESS = "server", "process-"
_FILE = Path("config") / "server.config.yaml"
_OF_THE_DATABASE = ("ATLAS_DATABASE_URL", "PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE")
_SETTABLE = {setting.name for setting in fields(ServerConfig)} - {"home"}


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
        config = replace(config, **{name: checked(name, value)})
    config = replace(config, executors=chosen(named, told))
    if "name" not in values and config.role != "all":
        config = replace(config, name=config.role)
    if config.name != _SERVER and config.database_url is None:
        raise ConfigError(
            "Several processes of one server need a PostgreSQL database.",
            "Name it with database_url, see docs/postgres.md; or leave out role and name.",
        )
    defaults = allowed_by_default(is_loopback(config.host) and not config.trusted_proxies)
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
    """Whether only this machine reaches what listens on `host`: an address or a socket file."""
    if host.startswith(UNIX):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_by_default(is_private: bool) -> dict[str, tuple[str, ...]]:
    """Return what jobs may ask for where nothing is set: everything, where nobody else gets in.

    A server that others reach, through a proxy that it trusts among them, serves people who need
    not own its machine.
    """
    if is_private:
        return dict.fromkeys(ALLOWED, ("*",))
    return {"allow_volumes": (), "allow_networks": ("bridge", "none"), "allow_privileges": ()}


def package_index() -> str | None:
    """Return the index that pip's settings name, or pip's own; None where they want none."""
    found = dict(reversed(list(pip_settings(("index-url", "no-index"), os.environ, sys.prefix))))
    return None if "no-index" in found else found.get("index-url", "https://pypi.org/simple")


def in_colour() -> bool:
    """Whether what is printed is to have colours: for a terminal, unless its owner wants none."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


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


def without_secrets(variables: dict[str, str]) -> dict[str, str]:
    """Return what jobs may see of a server's variables: not how to get into its database."""
    return {name: value for name, value in variables.items() if name not in _OF_THE_DATABASE}


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
