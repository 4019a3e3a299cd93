"""What a search asks of whatever chooses its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from atlas_server.domain.search.definition import Definition
from atlas_server.domain.search.space import Point


class TrialState(StrEnum):
    """What became of a trial; open: its job is not over."""

    OPEN = "open"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Known:
    """A trial as a study has to know it. `curve` are (step, value) of the objective's metric.

    `memo` is what the study itself wanted to be remembered of it.
    """

    number: int
    state: TrialState
    point: Point
    scores: Sequence[float] | None = None
    curve: Sequence[tuple[int, float]] = ()
    memo: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Study(Protocol):
    """Chooses the points of a search, learning from how its trials end. Used by one thread."""

    def ask(self, number: int) -> Point | None:
        """Return the point of a new trial; None when there is nothing left to try."""
        ...

    def memo(self, number: int) -> dict[str, Any]:
        """Return what a study made anew has to be told of this trial; JSON."""
        ...

    def report(self, number: int, step: int, value: float) -> None:
        """Note a value that a trial logged on its way."""
        ...

    def should_prune(self, number: int) -> bool:
        """Whether what a trial has reported so far is not worth going on."""
        ...

    def tell(self, number: int, state: TrialState, scores: Sequence[float] | None) -> None:
        """Note how a trial has ended."""
        ...


Studies = Callable[[Definition, Sequence[Known]], Study]
"""Makes the study of a search with the trials that it has, in the order of their numbers.

Raises InvalidRequest where the method or its arguments are not there.
"""
