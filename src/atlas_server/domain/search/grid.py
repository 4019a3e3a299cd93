"""Every point of a space, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atlas_server.domain.search.space import Choice, Dimension, Distribution, Point, Space
from foundations.errors import InvalidRequest

_MOST_VALUES = 10_000


def check_grid(space: Space) -> None:
    """Raise InvalidRequest where a dimension has no end of values."""
    for dimension in space.dimensions:
        values_of(dimension)


def points(space: Space) -> Iterator[Point]:
    """Every point once, always in the same order: the last dimension changes fastest."""
    turns: list[int] = []
    while True:
        widths: list[int] = []
        point = space.chosen(_Walk(turns, widths))
        yield point
        # Count up like a clock whose later wheels depend on where the earlier ones stand.
        turns = [*turns, *([0] * (len(widths) - len(turns)))][: len(widths)]
        while turns and turns[-1] + 1 == widths[len(turns) - 1]:
            turns.pop()
        if not turns:
            return
        turns[-1] += 1


class _Walk:
    """Chooses the values at given turns, the first value beyond them; notes how many there are."""

    def __init__(self, turns: list[int], widths: list[int]) -> None:
        self._turns = turns
        self._widths = widths

    def __call__(self, dimension: Dimension) -> Any:
        values = values_of(dimension)
        at = len(self._widths)
        self._widths.append(len(values))
        return values[self._turns[at] if at < len(self._turns) else 0]


def values_of(dimension: Dimension) -> tuple[Any, ...]:
    """The values of a dimension that a grid search tries. Raises InvalidRequest."""
    found = _values(dimension.distribution)
    if found is None or len(found) > _MOST_VALUES:
        raise InvalidRequest(
            f"parameters.{dimension.name}: a grid search cannot try every value of this range.",
            "Give it a step, or say how many to try with points: 5.",
        )
    return found


def _values(distribution: Distribution) -> tuple[Any, ...] | None:
    if isinstance(distribution, Choice):
        return distribution.values
    low, high = distribution.low, distribution.high
    if low == high:
        return (low,)
    count = distribution.points
    if count is not None:
        spread = (n / (count - 1) if count > 1 else 0.0 for n in range(count))
        if distribution.log:
            found = [low * (high / low) ** part for part in spread]
        else:
            found = [low + part * (high - low) for part in spread]
        rounded = (round(value) if distribution.integer else value for value in found)
        return tuple(dict.fromkeys(rounded))
    steps = distribution.steps
    if steps is None or steps >= _MOST_VALUES:
        return None
    return tuple(distribution.after(n) for n in range(steps + 1))
