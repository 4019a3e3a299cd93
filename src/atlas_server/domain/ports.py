"""What the scheduler asks of the place where attempts run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.resources import Allocation, Node

# A string that names a launched runner and survives a server restart.
Handle = str


@dataclass(frozen=True, slots=True)
class Launch:
    """One runner to start: what it needs to know, as JSON, and what it may use."""

    attempt: int
    job_id: str
    allocation: Allocation
    assignment: dict[str, Any]


class Observation(Enum):
    """What a backend knows of a launched runner."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


class LaunchFailed(Exception):
    """The backend could not start the runner, and it is certain that none runs."""


class Executor(Protocol):
    """Decides where an attempt runs."""

    name: str

    def nodes(self) -> Sequence[Node]:
        """Return what can be placed on now."""
        ...

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on at nodes now, of those that can be seen from here, by name."""
        ...

    def launch(self, launch: Launch) -> Handle:
        """Start the runner; returns at once. Raises LaunchFailed."""
        ...

    def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Observation]:
        """Return what is known of each runner."""
        ...

    def stop(self, handle: Handle, *, grace: float) -> None:
        """Ask the runner to stop its worker; the worker is killed after `grace` seconds."""
        ...


class Clock(Protocol):
    """Time, identities and chance, so that tests can choose them."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def new_id(self) -> str:
        """Return a job ID that was never used."""
        ...

    def new_token(self) -> str:
        """Return a secret that nobody can guess."""
        ...
