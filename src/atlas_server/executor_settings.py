"""What the configuration says of executors: which there are, and how each is reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from atlas_server.pilot_settings import NO_PILOTS, PilotSettings, read_pilots
from foundations.contract.request import parse_duration, parse_memory, suggestion, words
from foundations.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """This machine; what it has is set by `cpus`, `memory` and `gpus`."""

    name: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Machines that an engine owns, and runners there.

    `python` is the interpreter on the nodes that has Atlas, `server` the address at which they
    reach this server; None: our own. Times are in seconds: between two looks (`poll`), and for the
    engine to answer (`patience`). Where the nodes do not see the server's home they are not
    `shared`, and work below the folder `cache`, which each has for itself; of code and environments
    there stay `cache_size` bytes, and what was used in the last `cache_age` seconds.
    """

    name: str
    python: str | None = None
    server: str | None = None
    poll: float = 1.0
    patience: float = 20.0
    shared: bool = True
    cache: str = "/var/tmp/atlas"  # noqa: S108 - closed to others by the runner
    cache_size: int = 20 << 30
    cache_age: float = 30 * 86400.0
    pilots: PilotSettings = NO_PILOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings(ClusterSettings):
    """A Slurm cluster, reached through its commands on this machine.

    `conf` is its slurm.conf where that is not at the usual place. `partition`, `account`, `qos`,
    `constraint` and `sbatch` are for jobs that do not say. `margin` is what a time limit allows
    beside the job's own, in seconds. With `arrays` attempts that ask for the same go
    there together.
    """

    name: str = "slurm"
    conf: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    sbatch: tuple[str, ...] = ()
    margin: float = 600.0
    arrays: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """Machines of one kind: how many there may be in all, and what each has, memory in bytes."""

    nodes: int
    cpus: float
    memory: int = 0
    gpus: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings(ClusterSettings):
    """A Ray cluster, reached through the dashboard's HTTP API at `address`.

    `token_file` holds its token, where Ray's own variables and file do not; `ca_file` certificates
    to trust besides the system's. `autoscaling` is what the cluster's autoscaler may add.
    """

    name: str = "ray"
    address: str = "http://127.0.0.1:8265"
    token_file: str | None = None
    ca_file: str | None = None
    shared: bool = False
    autoscaling: tuple[Kind, ...] = ()


Settings = LocalSettings | SlurmSettings | RaySettings
_KINDS: Mapping[str, type[Settings]] = {
    "local": LocalSettings,
    "slurm": SlurmSettings,
    "ray": RaySettings,
}
DEFAULT: tuple[Settings, ...] = (LocalSettings(),)


def read_executors(value: Any) -> tuple[Settings, ...]:
    """Return the executors that a setting names: a mapping, a list, or names with commas between.

    `slurm` is an executor of that kind; others say theirs: `lab: {kind: slurm}`. Raises
    ConfigError.
    """
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    if isinstance(value, list):
        value = dict.fromkeys(cast("list[Any]", value))
    if not isinstance(value, dict) or not value:
        raise ConfigError(
            "The server's setting executors must name one at least.", "Write: executors: [local]"
        )
    return tuple(_executor(str(name), said) for name, said in value.items())


def chosen(named: Any, told: Any) -> tuple[Settings, ...]:
    """Return the executors that are `named` with what is `told` of each; None: all that are told.

    Raises ConfigError.
    """
    known = read_executors(told) if told is not None else DEFAULT
    if named is None:
        return known
    by_name = {settings.name: settings for settings in known}
    words = named.split(",") if isinstance(named, str) else list(named)
    return tuple(
        _executor(name, None, by_name) for name in dict.fromkeys(word.strip() for word in words)
    )


def _executor(name: str, said: Any, known: Mapping[str, Settings] | None = None) -> Settings:
    """Return what is `known` of an executor, else what is `said`; `ray=ADDRESS` also says where."""
    name, _, address = name.partition("=")
    settings = (known or {}).get(name) or _read(name, said)
    if not address:
        return settings
    if not isinstance(settings, RaySettings):
        raise ConfigError(f"The executor {name} has no address, and {address!r} is given as one.")
    return replace(settings, address=_address(name, address))


def _read(name: str, said: Any) -> Settings:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"An executor cannot be called {name!r}.")
    given = {} if said is None else said
    if not isinstance(given, dict):
        raise ConfigError(f"executors: {name} must hold `setting: value` lines, not {said!r}.")
    given = cast("dict[str, Any]", dict(given))
    kind = given.pop("kind", name)
    if kind not in _KINDS:
        raise ConfigError(
            f"executors: {name} is of no known kind: {kind!r}.{suggestion(kind, _KINDS)}",
            f"Kinds: {', '.join(_KINDS)}. For another name write its kind: {name}: {{kind: slurm}}",
        )
    settings = _KINDS[kind](name=name)
    known = {field.name for field in fields(settings)} - {"name"}
    for key, value in given.items():
        if key not in known:
            raise ConfigError(
                f"executors: {name} has no setting {key!r}.{suggestion(key, known)}",
                f"Settings are: {', '.join(sorted(known)) or 'none'}.",
            )
        if value is not None:
            settings = replace(settings, **{key: _value(name, key, value)})
    return settings


_WITH_UNITS: Mapping[str, Callable[[Any], float]] = {
    "cache_size": parse_memory,
    "cache_age": parse_duration,
}


def _value(name: str, key: str, value: Any) -> Any:
    if key == "pilots":
        return read_pilots(name, value)
    try:
        if key in ("poll", "patience", "margin"):
            number = float(value)
            if not 0.05 <= number <= 86400:
                raise ValueError(value)
            return number
    except (TypeError, ValueError) as error:
        raise ConfigError(f"executors: {name}: {key} cannot be {value!r}.") from error
    if key in _WITH_UNITS:
        try:
            return _WITH_UNITS[key](value)
        except ConfigError as error:
            raise ConfigError(f"executors: {name}: {key}: {error.message}", error.hint) from error
    if key == "autoscaling":
        return _kinds(name, value)
    if key in ("shared", "arrays"):
        if not isinstance(value, bool):
            raise ConfigError(f"executors: {name}: {key} must be true or false, not {value!r}.")
        return value
    if key == "sbatch":
        return tuple(words("sbatch", value))
    if not isinstance(value, str):
        raise ConfigError(f"executors: {name}: {key} must be text, not {value!r}.")
    return _address(name, value) if key == "address" else value


def _address(name: str, text: str) -> str:
    """Return the address of Ray's dashboard, http and its usual port where they are left out."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    host, _, path = rest.partition("/")
    if scheme not in ("http", "https") or not host or "@" in host:
        raise ConfigError(
            f"executors: {name}: {text!r} is not the address of Ray's dashboard.",
            "Write it as http://HEAD:8265 or https://HOST/PREFIX.",
        )
    if not separator and ":" not in host:
        host = f"{host}:8265"
    return f"{scheme}://{host}/{path}".rstrip("/")


def _kinds(name: str, value: Any) -> tuple[Kind, ...]:
    listed = value if isinstance(value, list) else [value]
    found: list[Kind] = []
    for said in cast("list[Any]", listed):
        try:
            told = dict(said)
            memory = told.pop("ram", 0)
            labels = told.pop("labels", {})
            kind = Kind(
                int(told.pop("nodes")),
                float(told.pop("cpus")),
                parse_memory(memory) if memory else 0,
                int(told.pop("gpus", 0)),
                tuple(sorted(f"{label}={text}" for label, text in labels.items())),
            )
            if told or not 0 < kind.nodes <= 10_000 or kind.cpus <= 0 or kind.gpus < 0:
                raise ValueError(said)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"executors: {name}: autoscaling cannot be {said!r}.",
                "Write: autoscaling: {nodes: 8, cpus: 16, gpus: 4, ram: 64}.",
            ) from error
        found.append(kind)
    return tuple(found)
