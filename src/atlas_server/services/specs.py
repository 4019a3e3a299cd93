"""What a job's spec must be, and what of it is shown."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from atlas_server.domain.resources import validate
from foundations.contract.codec import plain
from foundations.contract.environment import looks_secret
from foundations.contract.spec import JobSpec
from foundations.errors import InvalidRequest

MASK = "********"


def check_spec(spec: JobSpec) -> None:
    """Raise InvalidRequest where no server could run `spec`, whose worker is settled."""
    check_project(spec.project)
    if any("\0" in word for word in [*spec.command, *(spec.entrypoint or ())]):
        raise InvalidRequest("The command contains a NUL character.")
    if spec.timeout is not None and not 0 < spec.timeout < math.inf:
        raise InvalidRequest("The timeout must be more than 0 seconds, and finite.")
    if not 0 <= spec.retries <= 100:
        raise InvalidRequest("retries must lie between 0 and 100.")
    if not -1000 <= spec.priority <= 1000:
        raise InvalidRequest("priority must lie between -1000 and 1000.")
    complaint = validate(spec.resources)
    if complaint:
        raise InvalidRequest(f"{complaint}.")
    _check_environment(spec)
    _check_text(spec)


def check_project(name: str) -> str:
    """Return the name if a project may have it. Raises InvalidRequest."""
    if not name.strip() or "/" in name or not name.isprintable():
        raise InvalidRequest(
            f"The project name {name!r} cannot be used.",
            "Give it printable characters, without '/'.",
        )
    return name


def _check_environment(spec: JobSpec) -> None:
    for name, value in spec.environment.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            raise InvalidRequest(f"environment: no process can have the variable {name!r}.")


def _check_text(spec: JobSpec) -> None:
    """Refuse what no answer and no database can hold: halves of surrogate pairs."""
    for name, value in plain(spec).items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"{name}: {error.object[error.start]!r} is no text.") from error


def split_secrets(spec: JobSpec) -> tuple[JobSpec, dict[str, str]]:
    """Return the spec as it may be shown, and the values of variables that look secret."""
    secrets = {name: value for name, value in spec.environment.items() if looks_secret(name)}
    shown = {name: MASK if name in secrets else value for name, value in spec.environment.items()}
    return replace(spec, environment=shown), secrets
