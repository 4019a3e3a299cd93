"""Jobs and attempts as the services and the scheduler see them: frozen, without SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundations.contract.spec import Resources
from foundations.contract.states import JobKind, JobState, StateReason

SPACING = 1 << 20
"""Places in the queue between a job and the next one submitted, for those moved between them."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as the store holds it; times are seconds since the epoch.

    `place` is where in the queue it was put by hand, `wish` the text of a `domain.wishes.Wish`.
    """

    id: int
    job_id: str
    project: str
    name: str | None
    user: str
    state: JobState
    reason: StateReason | None
    message: str | None
    exit_code: int | None
    priority: int
    resources: Resources
    timeout: float | None
    retries: int
    attempts: int
    submitted_at: float
    queued_at: float
    not_before: float | None
    started_at: float | None
    finished_at: float | None
    bundle: str
    outputs: str | None
    spec: dict[str, Any]
    usage: dict[str, Any] | None
    environment: dict[str, Any] | None = None
    kind: JobKind = JobKind.SCHEDULED
    notes: str | None = None
    place: int | None = None
    wish: str | None = None
    search: str | None = None

    @property
    def arrival(self) -> int:
        """The job's place in the order of arrival."""
        return self.id * SPACING if self.place is None else self.place


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One execution of a job. `allocation` is the JSON form of `domain.resources.Allocation`.

    `error` is the exception that ended its program: type, message, traceback.
    """

    id: int
    job: int
    job_id: str
    number: int
    token: str
    executor: str
    allocation: dict[str, Any]
    lease_until: float
    recoveries: int
    created_at: float
    handle: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    usage: dict[str, Any] | None = None
    late_result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; None is no condition. `tag` maps keys to a value or None (any)."""

    project: str | None = None
    user: str | None = None
    states: Sequence[JobState] = ()
    tags: tuple[tuple[str, str | None], ...] = ()
    kind: JobKind | None = None
    before: int | None = None
