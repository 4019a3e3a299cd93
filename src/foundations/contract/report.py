"""What a runner and the server say to each other about one attempt. No I/O.

The assignment travels to the runner when it is launched; the runner sends reports from then on.
A report carries whatever is new: log bytes, journal lines, a change of phase, the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from foundations.contract.spec import JobSpec

PREPARING = "preparing"
RUNNING = "running"
FINISHED = "finished"


@dataclass(frozen=True)
class Assignment:
    """One attempt as the runner gets it.

    `server` is the API's address and `instance` the identity of the server, which it keeps wherever
    it listens: another one's word about the attempt does not count. `home` is the FOUNDATIONS_HOME
    in which the runner keeps its work, `blobs` the content store's folder, `spec` the JSON form of
    JobSpec. `environment` is added to the worker's; `devices` are the GPUs it may see (UUIDs).
    `recover` means that an earlier runner of this attempt died: what it left is to be taken in,
    nothing to be run. `adopt` is the folder of a job that runs, or ran, without a scheduler: it is
    to be taken in; with `attempt` 0 the server does not know of it yet. `remote` means that the
    server does not share this machine: all content has to be sent to it. `heartbeat` and `grace`
    are in seconds. `handle` is what the server calls the runner, where it is not by its process;
    `server_stays` means that the address is where the server will always be; `ending` is the
    reason and message of an end that others have told, for a runner that recovers.
    """

    attempt: int
    token: str
    job_id: str
    number: int
    server: str
    instance: str
    home: str
    blobs: str
    spec: Dict[str, Any]
    environment: Dict[str, str] = field(default_factory=dict)
    devices: List[str] = field(default_factory=list)
    heartbeat: float = 10.0
    grace: float = 10.0
    recover: bool = False
    adopt: Optional[str] = None
    remote: bool = False
    handle: Optional[str] = None
    server_stays: bool = False
    ending: Optional[Dict[str, Any]] = None


@dataclass(frozen=True)
class Claim:
    """How a runner asks for its assignment; `token` is its choice, the attempt's from then on."""

    instance: str
    token: str


@dataclass(frozen=True)
class JournalBatch:
    """Consecutive journal lines of one writer; `first` is the number of the first of them."""

    writer: str
    first: int
    events: List[Dict[str, Any]]


@dataclass(frozen=True)
class Result:
    """How an attempt ended. `reason` is a StateReason or None; `outputs` a manifest's digest.

    `usage` has cpu_seconds, peak_memory (bytes) and wall_seconds. `began` is False when it is
    certain that nothing of the job was executed. `ended_at`, in seconds since the epoch, is for an
    end that is told later.
    """

    exit_code: Optional[int] = None
    reason: Optional[str] = None
    message: Optional[str] = None
    outputs: Optional[str] = None
    usage: Dict[str, float] = field(default_factory=dict)
    began: bool = True
    ended_at: Optional[float] = None


@dataclass(frozen=True)
class Report:
    """News of one attempt.

    `started_at` is when its worker started, in seconds since the epoch; `log` is base64 of the
    bytes that begin at `log_offset`.
    """

    attempt: int
    instance: str
    phase: str
    runner: Optional[str] = None
    started_at: Optional[float] = None
    log_offset: int = 0
    log: str = ""
    journal: List[JournalBatch] = field(default_factory=list)
    environment: Optional[Dict[str, Any]] = None
    result: Optional[Result] = None


@dataclass(frozen=True)
class Reply:
    """The server's answer: bytes of log it holds, and whether the worker is to be stopped."""

    log_size: int
    stop: bool = False


@dataclass(frozen=True)
class Executed:
    """A job that runs without a scheduler, as the one who takes it in announces it.

    `instance` is that of the server in whose home it lies; empty: it is on another machine.
    """

    job_id: str
    spec: JobSpec
    started_at: float
    instance: str = ""


@dataclass(frozen=True)
class Taken:
    """The server's answer: under which ID it has the job, and what reports of it have to say."""

    job_id: str
    attempt: int
    token: str
    instance: str
    heartbeat: float
    grace: float
