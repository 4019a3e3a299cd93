"""What a user submits: JobSpec and its parts. No I/O; dataclasses only, for Python 3.8 and later.

The client's hot path sends these as plain JSON objects and does not import this module:
`dataclasses` alone costs as much as starting the interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Dict, List, Optional


@dataclass(frozen=True)
class Resources:
    """What a job holds while it runs: `cpus` in cores, `memory` in bytes (None: not counted).

    `cpu_limit` is the most that a container may use, in cores; None: what others leave idle, too.
    """

    # What the server does not know it refuses, instead of running the job without it.
    __pydantic_config__ = MappingProxyType({"extra": "forbid"})

    cpus: float = 1.0
    memory: Optional[int] = None
    gpus: float = 0.0
    cpu_limit: Optional[float] = None


@dataclass(frozen=True)
class GitState:
    """The repository that the job's folder lies in; `dirty` is None where git could not tell."""

    commit: str
    branch: Optional[str] = None
    dirty: Optional[bool] = None
    remote: Optional[str] = None


@dataclass(frozen=True)
class Origin:
    """Where a job was submitted from."""

    host: str = ""
    directory: str = ""
    python: str = ""
    client: str = ""
    environment_keys: List[str] = field(default_factory=list)
    git: Optional[GitState] = None


@dataclass(frozen=True)
class JobSpec:
    """Everything that decides what a job does; never changed after submission.

    `bundle` is the digest of the folder's manifest. `command` is given to `entrypoint`, which is
    the interpreter where it is None. `timeout` is in seconds of running; `retries` counts further
    attempts after the first. `worker` has the image, where the job runs in a container, and the
    container's options, as `foundations.contract.worker` reads them. `executor` names where it is
    to run, None: wherever there is room; `cluster` has partition, account and the like, as
    `foundations.contract.cluster` reads them. `num_nodes` is on how many nodes it runs at once, on
    each with `resources`. `search` is what the job is seen and stopped with:
    its search, or the program that submits many jobs.
    """

    __pydantic_config__ = MappingProxyType({"extra": "forbid"})

    project: str
    bundle: str
    command: List[str] = field(default_factory=list)
    entrypoint: Optional[List[str]] = None
    name: Optional[str] = None
    user: str = ""
    params: Optional[Dict[str, Any]] = None
    tags: Dict[str, str] = field(default_factory=dict)
    environment: Dict[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    priority: int = 0
    timeout: Optional[float] = None
    retries: int = 0
    interpreter: Optional[str] = None
    install_requirements: Optional[bool] = None
    worker: Dict[str, Any] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)
    parent: Optional[str] = None
    rerun_of: Optional[str] = None
    executor: Optional[str] = None
    cluster: Dict[str, Any] = field(default_factory=dict)
    search: Optional[str] = None
    num_nodes: int = 1
