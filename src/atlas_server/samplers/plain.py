"""Grid and random search, which need nothing installed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from atlas_server.domain.search.definition import Definition
from atlas_server.domain.search.grid import check_grid, points
from atlas_server.domain.search.ports import Known, TrialState
from atlas_server.domain.search.space import Choice, Dimension, Point

Chooser = Callable[[int], Point | None]
"""Gives the point of the trial with a number; None: there are no more."""


def chooser(search: Definition, begun: int) -> Chooser | None:
    """Return what chooses for grid and random search, after so many trials; None for others."""
    if search.sampler.name == "grid":
        check_grid(search.space)
        return _Grid(points(search.space), begun)
    if search.sampler.name == "random":
        seed = search.sampler.arguments.get("seed", 0)
        return lambda number: search.space.chosen(_Draw(random.Random(f"{seed}:{number}")))
    return None


class PlainStudy:
    """A search that learns nothing."""

    def __init__(self, choose: Chooser) -> None:
        self._choose = choose

    def ask(self, number: int) -> Point | None:
        """Return the point of a new trial; None when there is nothing left to try."""
        return self._choose(number)

    def memo(self, number: int) -> dict[str, Any]:
        """Nothing has to be remembered."""
        del number
        return {}

    def report(self, number: int, step: int, value: float) -> None:
        """Nothing is made of it."""

    def should_prune(self, number: int) -> bool:
        """Return False."""
        del number
        return False

    def tell(self, number: int, state: TrialState, scores: Sequence[float] | None) -> None:
        """Nothing is made of it."""


def study(search: Definition, known: Sequence[Known]) -> PlainStudy | None:
    """Return the study of a search that neither learns nor prunes; None for others."""
    choose = None if search.pruner else chooser(search, len(known))
    return PlainStudy(choose) if choose else None


class _Grid:
    def __init__(self, rest: Iterator[Point], begun: int) -> None:
        self._rest = rest
        for _ in range(begun):
            next(rest, None)

    def __call__(self, number: int) -> Point | None:
        return next(self._rest, None)


class _Draw:
    """Draws with the chance of one trial, so that a server that starts anew draws the same."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def __call__(self, dimension: Dimension) -> Any:
        of = dimension.distribution
        if isinstance(of, Choice):
            return self._chance.choice(of.values)
        if of.steps is not None and not of.log:
            return of.after(self._chance.randint(0, of.steps))
        if not of.log:
            return self._chance.uniform(of.low, of.high)
        # Whole numbers get their share of the scale: 1 has that from 0.5 to 1.5.
        margin = 0.5 if of.integer else 0.0
        low, high = math.log(of.low - margin), math.log(of.high + margin)
        value = math.exp(self._chance.uniform(low, high))
        value = round(value) if of.integer else value
        return min(max(value, of.low), of.high)
