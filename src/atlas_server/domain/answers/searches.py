"""Searches and their trials, as the API shows them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class ObjectiveShown(TypedDict):
    """A metric, whether it should be low (min) or high (max), and which of its values counts."""

    metric: str
    goal: str
    value: str


class TrialCounts(TypedDict):
    """How many trials there are, by what became of them."""

    total: int
    queued: int
    running: int
    completed: int
    pruned: int
    failed: int
    stopped: int


class SearchBudget(TypedDict):
    """What a search may take; null: as much as it likes."""

    trials: int | None
    seconds: float | None
    gpu_hours: float | None


class SearchSpent(TypedDict):
    """What a search has taken so far."""

    trials: int
    seconds: float
    gpu_hours: float


class Trial(TypedDict):
    """A trial: what was chosen, by dotted names, and what it came to, one score an objective."""

    number: int
    job_id: str
    state: str
    params: dict[str, Any]
    values: list[float] | None
    message: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None


class SearchRow(TypedDict):
    """A search, or a loop: jobs that one program submitted, of which only the counts are known.

    `best` is null with several objectives: then the details have the front.
    """

    name: str
    kind: str
    project: str
    user: str
    state: str
    message: str | None
    sampler: str | None
    pruner: str | None
    objectives: list[ObjectiveShown]
    counts: TrialCounts
    budget: SearchBudget
    spent: SearchSpent
    concurrency: int | None
    best: Trial | None
    created_at: float
    finished_at: float | None


class SearchList(TypedDict):
    """Searches, the newest first."""

    searches: list[SearchRow]


class DimensionShown(TypedDict):
    """Something that is searched. `when`: it counts only where another has one of these values."""

    name: str
    kind: str
    low: float | None
    high: float | None
    step: float | None
    log: bool
    choices: list[Any] | None
    when: dict[str, list[Any]] | None


class SearchDetails(SearchRow):
    """Everything about a search; `front` are the trials that no other beats."""

    parameters: list[DimensionShown]
    constants: dict[str, Any]
    front: list[Trial]
    definition: dict[str, Any]
    spec: dict[str, Any]


class TrialList(TypedDict):
    """Trials in the order of their numbers."""

    trials: list[Trial]


class TrialCurves(TypedDict):
    """Of each trial, by its number, the points [step, value] of the objective's metric."""

    curves: dict[str, list[list[float]]]


class Importance(TypedDict):
    """The share of what trials differ in that each parameter explains, of `trials` trials."""

    objective: str | None
    trials: int
    importance: dict[str, float]
