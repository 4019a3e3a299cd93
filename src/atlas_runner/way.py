"""What the ways to run an attempt have in common: as a process, or in a container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from atlas_runner.ending import WorkerExit
from atlas_runner.workspace import Workspace
from foundations.contract import environment as names
from foundations.contract.report import Assignment


class Worker(Protocol):
    """What runs the user's code, once it has been started."""

    identity: str

    def wait(self, *, timeout: float | None, stop_fd: int, grace: float) -> WorkerExit:
        """Wait for the end; ask for it after `timeout` seconds or when `stop_fd` is readable."""
        ...

    def pids(self) -> list[int]:
        """Return its processes on this machine, the main one first; none once it has ended."""
        ...

    def remove(self) -> None:
        """Leave nothing of it behind."""
        ...


class Way(Protocol):
    """Prepares and starts a worker."""

    def prepare(self) -> None:
        """Get ready what the worker needs; may take minutes."""
        ...

    def start(self) -> Worker:
        """Start the worker, after `prepare`."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what the job remembers of its environment."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What a way works with.

    `write` appends to the job's log; `stop_fd` is readable when the job is to be stopped;
    `takes_long` is called before work that lasts, so that the log is seen meanwhile.
    """

    workspace: Workspace
    write: Callable[[bytes], object]
    takes_long: Callable[[], object]
    stop_fd: int


def wants_requirements(spec: dict[str, Any]) -> bool:
    """Whether a requirements.txt is to be installed."""
    wanted = spec["install_requirements"]
    # An entrypoint of the user's own decides for itself what it needs, as it always did.
    return not spec["entrypoint"] if wanted is None else bool(wanted)


def fixed_variables(assignment: Assignment, *, home: str, attempt_dir: str) -> dict[str, str]:
    """Return the variables by which the worker finds its journal: not for the user to set."""
    return {
        names.HOME: home,
        names.JOB_ID: assignment.job_id,
        names.PROJECT_NAME: assignment.spec["project"],
        names.USER: assignment.spec["user"],
        names.ATTEMPT_DIR: attempt_dir,
    }
