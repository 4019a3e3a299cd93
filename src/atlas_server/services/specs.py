"""What a job's spec must be, and what of it is shown."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

from atlas_server.domain.resources import validate
from atlas_server.domain.wishes import wish_of
from foundations.contract.codec import plain
from foundations.contract.environment import looks_secret
from foundations.contract.spec import JobSpec
from foundations.contract.states import JobState
from foundations.errors import InvalidRequest

MASK = "********"
_MOST_NODES = 100_000
_SEARCH = re.compile(r"[\w.\-]{1,100}")
_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


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
    if spec.search is not None and not _SEARCH.fullmatch(spec.search):
        raise InvalidRequest(
            f"search: {spec.search!r} cannot be the name of a search.",
            "Letters, digits, '.', '-' and '_', 100 at most.",
        )
    if not 1 <= spec.num_nodes <= _MOST_NODES:
        raise InvalidRequest(f"num_nodes must lie between 1 and {_MOST_NODES}.")
    complaint = validate(spec.resources)
    if complaint:
        raise InvalidRequest(f"{complaint}.")
    _check_environment(spec)
    _check_text(spec)


def checked_id(job_id: str) -> str:
    """Return what a client has chosen as a job's ID if it is one. Raises InvalidRequest."""
    if not _JOB_ID.fullmatch(job_id):
        raise InvalidRequest(f"{job_id!r} is not a job ID.", "Job IDs are UUIDs.")
    return job_id


def check_text(name: str, value: object) -> None:
    """Refuse what no answer and no database can hold: halves of surrogate pairs."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{name}: {error.object[error.start]!r} is no text.") from error


def queued_row(
    shown: JobSpec, secrets: dict[str, str], project_id: int, now: float
) -> dict[str, Any]:
    """Return the row of a job that is queued now, but for its ID; for what `split_secrets` gave."""
    return {
        "project_id": project_id,
        "name": shown.name,
        "user": shown.user or "unknown",
        "state": JobState.QUEUED.value,
        "priority": shown.priority,
        "cpus": shown.resources.cpus,
        "memory": shown.resources.memory,
        "gpus": shown.resources.gpus,
        "timeout": shown.timeout,
        "retries": shown.retries,
        "attempts": 0,
        "submitted_at": now,
        "queued_at": now,
        "bundle": shown.bundle,
        "spec": plain(shown),
        "wish": wish_of(plain(shown)).to_text(),
        "secrets": secrets or None,
        "search": shown.search,
    }


def check_project(name: str) -> str:
    """Return the name if a project may have it. Raises InvalidRequest."""
    if not name.strip() or "/" in name or not name.isprintable() or name in (".", ".."):
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
    for name, value in plain(spec).items():
        check_text(name, value)


def split_secrets(spec: JobSpec) -> tuple[JobSpec, dict[str, str]]:
    """Return the spec as it may be shown, and the values of variables that look secret."""
    secrets = {name: value for name, value in spec.environment.items() if looks_secret(name)}
    shown = {name: MASK if name in secrets else value for name, value in spec.environment.items()}
    return replace(spec, environment=shown), secrets
