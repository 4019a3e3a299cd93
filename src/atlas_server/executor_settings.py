"""What the configuration says of executors: which there are, and how each is reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings(ClusterSettings):
    """A Slurm cluster, reached through its commands on this machine.

    `conf` is its slurm.conf where that is not at the usual place. `partition`, `account`, `qos`,
    `constraint` and `sbatch` are for jobs that do not say. `margin` is what a time limit allows
    beside the job's own, in seconds.
    """

    name: str = "slurm"
    conf: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    sbatch: tuple[str, ...] = ()
    margin: float = 600.0


Settings = LocalSettings | SlurmSettings
_KINDS: Mapping[str, type[Settings]] = {
    "local": LocalSettings,
    "slurm": SlurmSettings,
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
        by_name[name] if name in by_name else _executor(name, None)
        for name in dict.fromkeys(word.strip() for word in words)
    )


def _executor(name: str, said: Any) -> Settings:
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
    if key == "shared":
        if not isinstance(value, bool):
            raise ConfigError(f"executors: {name}: shared must be true or false, not {value!r}.")
        return value
    if key == "sbatch":
        return tuple(words("sbatch", value))
    if not isinstance(value, str):
        raise ConfigError(f"executors: {name}: {key} must be text, not {value!r}.")
    return value
