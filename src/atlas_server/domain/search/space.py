"""The space of a search: its dimensions, and how a point of it becomes the parameters of a job."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Point = dict[str, Any]
"""The value of each dimension that counts, by its dotted name, in the order of the space."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several JSON values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included, on a grid of `step` where it is given.

    `points` says how many of them a grid search tries, evenly spread.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    integer: bool = False
    points: int | None = None

    @property
    def steps(self) -> int | None:
        """How many steps it is from the lowest to the highest value; None: there are none."""
        if self.step is None and not self.integer:
            return None
        return math.floor((self.high - self.low) / (self.step or 1) + 1e-9)

    def after(self, steps: int) -> float:
        """The value so many steps above the lowest."""
        # 0.1 + 2 * 0.1 is written 0.3.
        value = self.low + steps * (self.step or 1)
        return value if self.integer else round(value, 12)


Distribution = Choice | Range


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where another dimension counts and has one of `values`, or is at least `least`."""

    name: str
    values: tuple[Any, ...] = ()
    least: int | None = None

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether it does at a point."""
        if self.name not in point:
            return False
        value = point[self.name]
        if self.least is not None:
            return value >= self.least
        return any(same(value, wanted) for wanted in self.values)


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing to choose; it counts where all its conditions hold."""

    name: str
    distribution: Distribution
    conditions: tuple[Condition, ...] = ()

    def counts(self, point: Mapping[str, Any]) -> bool:
        """Whether it does at a point, as far as that is chosen."""
        return all(condition.holds(point) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Constant:
    """A parameter that is the same in every trial."""

    value: Any


@dataclass(frozen=True, slots=True)
class One:
    """A parameter that is a dimension of its own."""

    name: str


@dataclass(frozen=True, slots=True)
class Several:
    """A parameter that is a list, whose length is a dimension and each of its items another."""

    length: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Nested parameters; they are there where the conditions hold."""

    members: Mapping[str, Parameter]
    conditions: tuple[Condition, ...] = ()


Parameter = Constant | One | Several | Group


@dataclass(frozen=True, slots=True)
class Space:
    """All that can be chosen: a dimension comes after those that its conditions name."""

    dimensions: tuple[Dimension, ...]
    tree: Group

    def chosen(self, choose: Callable[[Dimension], Any]) -> Point:
        """A point, of which `choose` gives the value of each dimension that counts."""
        point: Point = {}
        for dimension in self.dimensions:
            if dimension.counts(point):
                point[dimension.name] = choose(dimension)
        return point

    def parameters(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """What the job of a trial at this point gets as its parameters."""
        return _members(self.tree, point)


def _members(group: Group, point: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, parameter in group.members.items():
        match parameter:
            case Constant(value):
                found[name] = value
            case One(dimension):
                if dimension in point:
                    found[name] = point[dimension]
            case Several(length, items):
                if length in point:
                    found[name] = [point[item] for item in items[: point[length]]]
            case Group():
                if all(condition.holds(point) for condition in parameter.conditions):
                    found[name] = _members(parameter, point)
    return found


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same; 1 is not true, but it is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other
