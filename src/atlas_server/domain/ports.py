"""What the scheduler asks of the place where attempts run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.resources import Allocation, Node
from foundations.contract.pilots import PilotNews, PilotOrders
from foundations.contract.spec import JobSpec
from foundations.contract.states import StateReason
from foundations.errors import FoundationsError

# A string that names a launched runner and survives a server restart.
Handle = str


@dataclass(frozen=True, slots=True)
class Launch:
    """One runner to start: what it needs to know, as JSON, and what it may use.

    `avoid` are names of nodes that it must not come to where its engine chooses the node.
    """

    attempt: int
    job_id: str
    allocation: Allocation
    assignment: dict[str, Any]
    recoveries: int = 0
    avoid: tuple[str, ...] = ()


class Life(Enum):
    """Whether a launched runner lives."""

    WAITING = "waiting"
    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """What a backend knows of a launched runner.

    `node` is where it is, where the backend chose, and `others` the further nodes of its attempt.
    Of one that is gone: `certain` that no process
    of it is left, and not only out of sight; `began` is False where it never ran at all, and
    `reachable` where nobody can look at what it left; `reason` and `message` say why it is gone,
    where the backend knows better than "lost".
    """

    life: Life
    node: str | None = None
    others: tuple[str, ...] = ()
    certain: bool = True
    began: bool = True
    reachable: bool = True
    reason: StateReason | None = None
    message: str | None = None


WAITING, ALIVE = Observation(Life.WAITING), Observation(Life.ALIVE)
GONE, UNKNOWN = Observation(Life.GONE), Observation(Life.UNKNOWN)


class LaunchFailed(Exception):
    """The backend could not start the runner, and it is certain that none runs."""


@dataclass(frozen=True, slots=True)
class Nearby:
    """How an executor tells the scheduler of news, from threads of its own.

    `ended`: a runner may have ended. `changed`: there is something else to place on, or a runner
    is elsewhere or has another state.
    """

    ended: Callable[[Handle], None]
    changed: Callable[[], None]


class Executor(Protocol):
    """Decides where an attempt runs."""

    name: str

    def prepare(self, nearby: Nearby) -> None:
        """Get ready to start runners."""
        ...

    def close(self) -> None:
        """End what serves the server alone; runners go on."""
        ...

    def nodes(self) -> Sequence[Node]:
        """Return what can be placed on now."""
        ...

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on at nodes now, of those that can be seen from here, by name."""
        ...

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Return why such a job could never run here; may ask the backend."""
        ...

    def handle_of(self, attempt: int, recoveries: int) -> Handle | None:
        """Return what the runner's handle will be; None where only its launch can tell.

        `recoveries` counts the runners that were sent after the attempt's first one.
        """
        ...

    def launch(self, launch: Launch) -> Handle:
        """Start the runner; returns at once. Raises LaunchFailed."""
        ...

    def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Observation]:
        """Return what is known of each runner, at once; `handles` are all that there should be."""
        ...

    def stop(self, handle: Handle, *, grace: float) -> None:
        """Ask the runner to stop its worker; the worker is killed after `grace` seconds."""
        ...


class PilotDesk(Protocol):
    """Where the pilots of an executor ask what they are to do."""

    def check(self, name: str, token: str) -> None:
        """Raise Fenced unless the token is that of the pilot of this name."""
        ...

    def admit(self, name: str, claim: str, word: str | None) -> str:
        """Return the token of a pilot that shows its claim; `word` is its own. Raises Fenced."""
        ...

    def hear(self, news: PilotNews) -> None:
        """Take in what a pilot tells."""
        ...

    def orders(self, news: PilotNews) -> PilotOrders | None:
        """Return what a pilot that asks is to do; None: nothing yet."""
        ...

    def listen(self, name: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when there may be orders for a pilot; returns the end of it."""
        ...


class Clock(Protocol):
    """Time, identities and chance, so that tests can choose them."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def new_id(self) -> str:
        """Return a job ID that was never used."""
        ...

    def new_token(self) -> str:
        """Return a secret that nobody can guess."""
        ...
