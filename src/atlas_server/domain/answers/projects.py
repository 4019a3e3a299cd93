"""Projects and what people say about them, as the API shows them."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class BestValue(TypedDict):
    """The best value that a project's first metric has reached, and the job that did."""

    metric: str
    goal: Literal["min", "max"]
    value: float
    job_id: str


class Project(TypedDict):
    """A project; `jobs` counts them by state, `metric` is the one that is shown first."""

    name: str
    created_at: float
    archived_at: float | None
    description: str
    jobs: dict[str, int]
    last_submitted_at: float | None
    last_active_at: float | None
    metric: str | None
    goals: dict[str, Literal["min", "max"]]
    best: BestValue | None


class Projects(TypedDict):
    """Projects by name."""

    projects: list[Project]


class ProjectGone(TypedDict):
    """A project that was deleted, and how many jobs with it."""

    project: str
    deleted: int


class Note(TypedDict):
    """A note on a project; the body is Markdown."""

    id: int
    author: str
    body: str
    created_at: float
    edited_at: float | None


class Notes(TypedDict):
    """The notes on a project, the newest first."""

    notes: list[Note]
