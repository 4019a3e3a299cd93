"""Jobs as the API shows them."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

State = Literal["queued", "starting", "running", "stopping", "completed", "failed", "stopped"]
Scalar = float | int | str | bool | None


class ResourcesAsked(TypedDict):
    """CPUs, bytes of memory (null: not counted), GPUs."""

    cpus: float
    memory: int | None
    gpus: float


class Metric(TypedDict):
    """The newest point of a curve; its number of points; its lowest, highest and best number."""

    value: float | str
    step: float | None
    time: float
    count: int
    min: float | None
    max: float | None
    best: float | None


class PlainJob(TypedDict):
    """A job without what it recorded; `params` are those that it was submitted with.

    `resources` is what it has on each of its `num_nodes`.
    """

    job_id: str
    kind: str
    project: str
    name: str | None
    user: str
    state: State
    reason: str | None
    message: str | None
    exit_code: int | None
    priority: int
    resources: ResourcesAsked
    num_nodes: int
    params: dict[str, Any]
    command: list[str]
    entrypoint: list[str] | None
    attempts: int
    retries: int
    timeout: float | None
    submitted_at: float
    queued_at: float
    not_before: float | None
    started_at: float | None
    finished_at: float | None
    bundle: str
    usage: dict[str, float] | None
    notes: str | None
    rerun_of: str | None
    search: str | None


class JobRow(PlainJob):
    """A job with what it recorded."""

    tags: dict[str, str]
    metrics: dict[str, Metric]


class UnknownColumn(TypedDict):
    """A column of a query that no job has: perhaps mistyped."""

    column: str
    position: int
    length: int
    suggestions: list[str]


class JobPage(TypedDict):
    """A window of a table of jobs. `seq` is the feed's when it was read."""

    total: int
    offset: int
    seq: int
    jobs: list[JobRow]
    unknown: list[UnknownColumn]


class JobList(TypedDict):
    """Jobs, the newest first; `next` is the cursor (`before`) of what follows, or null."""

    jobs: list[JobRow]
    next: int | None


class Artifact(TypedDict):
    """One version of an artifact; `type` is a media type."""

    key: str
    version: int
    filename: str
    digest: str
    size: int
    folder: bool
    created_at: float
    step: float | None
    type: str


class HistoryEvent(TypedDict):
    """Something that happened to a job; of a change of state the state and the reason."""

    time: float
    kind: str
    state: NotRequired[State]
    reason: NotRequired[str | None]


class AttemptShown(TypedDict):
    """One execution of a job."""

    number: int
    executor: str
    allocation: dict[str, Any]
    handle: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    reason: str | None
    message: str | None
    usage: dict[str, float] | None
    late_result: dict[str, Any] | None
    error: NotRequired[dict[str, Any] | None]


class RemovedPart(TypedDict):
    """What a job had (`what`: log, artifacts, results ...) and when which rule removed it."""

    what: str
    rule: str
    time: float
    files: int
    size: int


class JobDetails(JobRow):
    """Everything about a job."""

    artifacts: list[Artifact]
    history: list[HistoryEvent]
    spec: dict[str, Any]
    environment: dict[str, Any] | None
    outputs: str | None
    attempt_list: list[AttemptShown]
    log_size: int
    removed: list[RemovedPart]
    error: NotRequired[dict[str, Any] | None]
    jobs_ahead: NotRequired[int | None]
    waits_because: NotRequired[str]


class JobStateNow(TypedDict):
    """A job and the state that it is in now."""

    job_id: str
    state: State


class FileChange(TypedDict):
    """A file that differs; `diff` is a unified one, null for what is no text."""

    path: str
    change: Literal["added", "removed", "changed"]
    diff: str | None


Pair = list[Any]
"""The first job's value and the second's; null where it has none."""


class Difference(TypedDict):
    """How two jobs differ: of what is the same nothing is told."""

    jobs: list[str]
    files: list[FileChange]
    params: dict[str, Pair]
    spec: dict[str, Pair]
    state: dict[str, Pair]
    metrics: dict[str, Pair]
    packages: dict[str, Pair] | None
    environment: dict[str, Pair] | None


class JobGone(TypedDict):
    """A job that was deleted."""

    job_id: str
