"""A search's space as the API shows it."""

from __future__ import annotations

from typing import Any

from atlas_server.domain.answers.searches import DimensionShown
from atlas_server.domain.search.space import Choice, Constant, Dimension, Group, Range, Space


def dimensions(space: Space) -> list[DimensionShown]:
    """The dimensions in their order."""
    return [_shown(dimension) for dimension in space.dimensions]


def constants(space: Space) -> dict[str, Any]:
    """What is the same in every trial, by dotted name."""
    found: dict[str, Any] = {}
    _gather(space.tree, "", found)
    return found


def _gather(group: Group, above: str, found: dict[str, Any]) -> None:
    for name, parameter in group.members.items():
        if isinstance(parameter, Constant):
            found[above + name] = parameter.value
        elif isinstance(parameter, Group):
            _gather(parameter, f"{above}{name}.", found)


def _shown(dimension: Dimension) -> DimensionShown:
    of = dimension.distribution
    numbers = of if isinstance(of, Range) else None
    when = {
        condition.name: list(condition.values)
        if condition.least is None
        else [f">= {condition.least}"]
        for condition in dimension.conditions
    }
    return {
        "name": dimension.name,
        "kind": "choice" if numbers is None else "int" if numbers.integer else "float",
        "low": numbers.low if numbers else None,
        "high": numbers.high if numbers else None,
        "step": numbers.step if numbers else None,
        "log": numbers is not None and numbers.log,
        "choices": list(of.values) if isinstance(of, Choice) else None,
        "when": when or None,
    }
