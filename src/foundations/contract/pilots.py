"""What a pilot and the server say to each other. No I/O.

A pilot is a runner's host: it keeps its place in a cluster and carries one attempt after the other,
several at once where there is room.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional


@dataclass(frozen=True)
class Charge:
    """What a pilot is told when it is started.

    `kind` is what it was asked of the engine with, and jobs that it may carry would have been;
    `memory` in bytes; `idle`, `life` and `grace` in seconds: for how long it waits for further
    attempts, takes them, and has them end when they are told to. `token` is what it shows: where
    others can read it, a claim, which it exchanges for its token.
    """

    name: str
    executor: str
    token: str
    server: str
    instance: str
    home: str
    kind: List[str]
    cpus: float
    memory: int
    gpus: int
    idle: float
    life: float
    grace: float
    remote: bool = False
    server_stays: bool = False


@dataclass(frozen=True)
class PilotNews:
    """What a pilot says: what it is, and what it carries: [CPUs, bytes, GPUs] by handle.

    `ended` are handles whose runners have gone since it was last heard of; `left` is for how many
    seconds it has its place, where it knows; `takes`: it may be given more. Where it `asks`, the
    answer is to come when there is something for it, within `patience` seconds. `word` is its own,
    of chance, by which one that shows a claim is known when it asks again.
    """

    name: str
    executor: str
    instance: str
    kind: List[str]
    cpus: float
    memory: int
    gpus: int
    node: Optional[str] = None
    left: Optional[float] = None
    takes: bool = True
    carries: Dict[str, List[float]] = field(default_factory=dict)
    ended: List[str] = field(default_factory=list)
    asks: bool = False
    patience: float = 0.0
    word: Optional[str] = None


@dataclass(frozen=True)
class Berth:
    """An attempt for a pilot: its assignment, and what of the pilot it may use."""

    handle: str
    assignment: Dict[str, Any]
    cpus: float
    memory: int
    gpus: int


@dataclass(frozen=True)
class PilotOrders:
    """The server's answer: attempts to begin and to stop; `end`: to make room for others.

    `token` is for one that has shown its claim: what it shows from now on.
    """

    begin: List[Berth] = field(default_factory=list)
    stop: List[str] = field(default_factory=list)
    end: bool = False
    token: Optional[str] = None
