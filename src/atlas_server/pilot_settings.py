"""What the configuration says of the pilots of an executor."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, cast

from foundations.contract.request import parse_memory, suggestion
from foundations.errors import ConfigError

_MOST = 4
_LARGEST = 1e6


@dataclass(frozen=True, slots=True)
class PilotSettings:
    """Places that are kept for short jobs, `most` of them at once; 0: each job has its own.

    Each has so many `cpus`, bytes of `memory` for jobs that say what they need, and `gpus`. One
    that has had nothing to do for `idle` seconds ends, and none is given more to do after `life`.
    """

    most: int = 0
    cpus: float = 8.0
    memory: int = 0
    gpus: int = 0
    idle: float = 60.0
    life: float = 3600.0


NO_PILOTS = PilotSettings()


def read_pilots(name: str, value: Any) -> PilotSettings:
    """Return what is said of the pilots of the executor `name`. Raises ConfigError."""
    if isinstance(value, bool):
        return PilotSettings(most=_MOST if value else 0)
    if not isinstance(value, dict):
        raise ConfigError(
            f"executors: {name}: pilots must be true, false or `setting: value` lines."
        )
    found = PilotSettings(most=_MOST)
    known = {field.name for field in fields(PilotSettings)}
    for key, said in cast("dict[str, Any]", value).items():
        if key not in known:
            raise ConfigError(
                f"executors: {name}: pilots has no setting {key!r}.{suggestion(key, known)}",
                f"Settings are: {', '.join(sorted(known))}.",
            )
        try:
            found = replace(found, **{key: _number(key, said)})
        except (TypeError, ValueError, ConfigError) as error:
            raise ConfigError(f"executors: {name}: pilots: {key} cannot be {said!r}.") from error
    return found


def _number(key: str, said: Any) -> float:
    if key == "memory":
        return parse_memory(said)
    number = int(said) if key in ("most", "gpus") else float(said)
    if not 0 <= number <= _LARGEST or (key in ("cpus", "idle", "life") and not number):
        raise ValueError(said)
    return number
