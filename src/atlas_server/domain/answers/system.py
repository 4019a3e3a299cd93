"""The server, its queue and its nodes, as the API shows them."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from atlas_server.domain.answers.jobs import PlainJob


class Health(TypedDict):
    """Who answers."""

    version: str
    api: str
    home: NotRequired[str]
    pid: NotRequired[int]
    started_at: NotRequired[float]


class PlacedJob(PlainJob):
    """A job that holds resources: `node` is where, null as long as that is not known."""

    node: str | None


class WaitingJob(PlainJob):
    """A job that waits: its turn, counted from 1, and why it waits."""

    position: int
    waits_because: str


class Queue(TypedDict):
    """What runs and what waits, in the order of the turns; `queued` has the first of them."""

    running: list[PlacedJob]
    queued: list[WaitingJob]
    total_queued: int


class Cleared(TypedDict):
    """The IDs of the jobs that were taken out of the queue."""

    cleared: list[str]


class GpuShown(TypedDict):
    """A GPU: how much of it is given out, and which share to which job."""

    uuid: str
    name: str
    memory: int
    used: float
    jobs: dict[str, float]


class GivenOut(TypedDict):
    """What jobs hold of a node."""

    cpus: float
    memory: int
    gpus: list[str]


class NodeShown(TypedDict):
    """A machine that jobs run on; `gpu_trouble` says why it has fewer GPUs than one might think.

    `drained` says who keeps new jobs from it and why; `executor` is whose machine it is,
    `condition` what that says of it (idle, drained: why), and `pools` the partitions by which jobs
    may ask for it.
    """

    name: str
    cpus: float
    memory: int
    gpus: list[GpuShown]
    accepting: bool
    drained: str | None
    gpu_trouble: str | None
    executor: str
    condition: str | None
    pools: list[str]
    used: GivenOut


class ServerShown(TypedDict):
    """The server: its nodes and the number of jobs in each state."""

    version: str
    home: str
    nodes: list[NodeShown]
    jobs: dict[str, int]


class GpuLive(TypedDict):
    """What a GPU does now: per cent of the time, bytes, watts; null where it does not tell."""

    uuid: str
    percent: float | None
    memory_used: int | None
    memory_total: int | None
    watts: float | None


class NodeLive(TypedDict):
    """What a machine does now, jobs or not; per cent of all its CPUs together."""

    time: float
    cpu_percent: float
    load: float
    memory_used: int
    memory_total: int
    disk_used: int
    disk_total: int
    gpus: list[GpuLive]


class NodeJob(TypedDict):
    """A job on a node, and what it holds there."""

    job_id: str
    project: str
    name: str | None
    user: str
    cpus: float
    memory: int
    gpus: list[str]


class NodeUse(NodeShown):
    """A node with what goes on there; `live` is null where it cannot be seen from here."""

    live: NodeLive | None
    jobs: list[NodeJob]


class Nodes(TypedDict):
    """Every node of every executor."""

    nodes: list[NodeUse]


class RefusedJob(TypedDict):
    """A job with which something was not done, and why."""

    job_id: str
    message: str


class BulkDone(TypedDict):
    """What was done with how many jobs; of a dry run, what would be: 1000 IDs at most."""

    action: str
    dry_run: bool
    matched: int
    done: list[str]
    done_total: int
    refused: list[RefusedJob]
    refused_total: int


class Reproduction(TypedDict):
    """What to type to run a job again: here, or elsewhere from its code."""

    command: str
    from_code: str
