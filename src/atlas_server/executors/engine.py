"""What an engine with machines of its own, Slurm say, is asked, and what runners there are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from atlas_server.domain.ports import Handle
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import ClusterSettings


class EngineAway(Exception):
    """The engine cannot be asked now; what was asked may have been done."""


class EngineRefused(Exception):
    """The engine said no; the message is its own."""


class Entry(Protocol):
    """What an engine's queue says of one runner: a row of it."""

    @property
    def state(self) -> str:
        """The engine's own word."""
        ...

    @property
    def is_pending(self) -> bool:
        """Whether it waits there."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the engine has done with it."""
        ...


class Order(Protocol):
    """What is to be submitted."""

    @property
    def handle(self) -> Handle:
        """What it is called, known before it is submitted."""
        ...


EntryT = TypeVar("EntryT", bound=Entry)
_OrderT_contra = TypeVar("_OrderT_contra", bound=Order, contravariant=True)


class Engine(Protocol[EntryT, _OrderT_contra]):
    """An engine's queue, asked in threads: each call may take long.

    All raise EngineAway where it does not answer.
    """

    name: str

    def submit(self, orders: Sequence[_OrderT_contra], *, doubtful: bool) -> dict[Handle, EntryT]:
        """Submit the first, and with it those that can go in one with it; returns what was taken.

        `doubtful`: some may have been taken before. Raises EngineRefused, which is about the first.
        """
        ...

    def look(self, expected: set[Handle]) -> dict[Handle, EntryT]:
        """Return what it has of ours; of those that are `expected` also what it finds elsewhere."""
        ...

    def nodes(self) -> tuple[Node, ...]:
        """Return its machines."""
        ...

    def tell_to_end(self, entry: EntryT) -> None:
        """Withdraw it where it waits, else have it end in its own time."""
        ...

    def cancel(self, entry: EntryT) -> None:
        """End it at once."""
        ...


@dataclass(frozen=True, slots=True)
class Home:
    """What runners on the nodes share with the server: its home; `variables` are for them.

    `secret` is the server's own, of which it makes what pilots show.
    """

    path: str
    python: str
    instance: str
    environment: Mapping[str, str]
    variables: Mapping[str, str]
    grace: float
    secret: str = ""

    @property
    def prefix(self) -> str:
        """How the handles of this server's runners begin."""
        return f"atlas-{self.instance[:8]}-"

    def place(self, settings: ClusterSettings) -> str:
        """Where runners work: below our own home where the nodes see it, else on their disk."""
        return self.path if settings.shared else f"{settings.cache}/{self.instance[:8]}"

    def variables_there(self, settings: ClusterSettings) -> dict[str, str]:
        """Return the environment variables of runners."""
        bounds = {"ATLAS_CACHE_SIZE": settings.cache_size, "ATLAS_CACHE_AGE": settings.cache_age}
        there = {} if settings.shared else {name: str(value) for name, value in bounds.items()}
        return {**self.variables, **there, "FOUNDATIONS_HOME": self.place(settings)}

    def told_there(self, settings: ClusterSettings, handle: Handle) -> dict[str, Any]:
        """Return what in a runner's assignment is different there."""
        told: dict[str, Any] = {"handle": handle, "devices": []}
        if not settings.shared:
            place = self.place(settings)
            told |= {"home": place, "blobs": f"{place}/blobs", "remote": True}
        if settings.server is not None:
            told |= {"server": settings.server, "server_stays": True}
        return told
