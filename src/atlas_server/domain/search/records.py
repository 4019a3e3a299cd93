"""Searches and trials as the store holds them: frozen, without SQL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from atlas_server.domain.search.ports import TrialState


class SearchState(StrEnum):
    """Whether a search goes on; stopping: no trial begins any more, some are not over."""

    RUNNING = "running"
    STOPPING = "stopping"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether it does not go on by itself."""
        return self not in (SearchState.RUNNING, SearchState.STOPPING)


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """One search; times are seconds since the epoch.

    `spent` are the seconds that it went on before `active_since`; None: it does not go on.
    """

    id: int
    search_id: str
    name: str
    project: str
    user: str
    state: SearchState
    message: str | None
    definition: dict[str, Any]
    spec: dict[str, Any]
    bundle: str
    created_at: float
    finished_at: float | None
    active_since: float | None
    spent: float

    def seconds(self, now: float) -> float:
        """For how long it has been going on."""
        return self.spent + (now - self.active_since if self.active_since is not None else 0.0)


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial. `point` has the values of the dimensions, `scores` those of the objectives."""

    search: int
    number: int
    job_id: str
    state: TrialState
    point: dict[str, Any]
    scores: list[float] | None
    message: str | None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    memo: dict[str, Any] | None = None
