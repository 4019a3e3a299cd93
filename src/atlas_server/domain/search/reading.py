"""Reads the space of a search from what people write; errors name the place.

A mapping with `min` and `max`, with `choices`, or with `value` is one parameter; any other mapping
is a group of them. A list is a choice, everything else a constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from atlas_server.domain.query.mistakes import nearest
from atlas_server.domain.search.shapes import is_list, is_mapping
from atlas_server.domain.search.space import (
    Choice,
    Condition,
    Constant,
    Dimension,
    Group,
    One,
    Parameter,
    Range,
    Several,
    Space,
    same,
)
from foundations.errors import InvalidRequest

_MARKS = frozenset({"min", "max", "choices", "value"})
_OF_RANGES = frozenset({
    "min", "max", "step", "log", "type", "points", "count_min", "count_max", "min_count",
    "max_count", "when",
})  # fmt: skip
_LONGEST_LIST = 100
_MOST_DIMENSIONS = 1000


def read_space(parameters: object) -> Space:
    """The space that `parameters` of a search describe. Raises InvalidRequest."""
    if not is_mapping(parameters) or not parameters:
        raise InvalidRequest(
            "parameters: there is nothing to search in.",
            "Write, say, parameters: {learning_rate: {min: 0.001, max: 0.1}}.",
        )
    reader = _Reader()
    tree = reader.group((), parameters, ())
    return Space(tuple(reader.ordered()), tree)


class _Reader:
    def __init__(self) -> None:
        self._found: dict[str, Dimension] = {}

    def group(
        self, path: tuple[str, ...], members: Mapping[Any, Any], above: tuple[Condition, ...]
    ) -> Group:
        own = _conditions(path, members.get("when")) if path else ()
        conditions = (*above, *own)
        found = {
            str(name): self._parameter((*path, str(name)), value, conditions)
            for name, value in members.items()
            if name != "when" or not path
        }
        return Group(found, own)

    def _parameter(
        self, path: tuple[str, ...], value: Any, above: tuple[Condition, ...]
    ) -> Parameter:
        if is_list(value):
            value = {"choices": value}
        if not is_mapping(value):
            return Constant(value)
        if not _MARKS & value.keys():
            if not value:
                raise _mistake(path, "an empty mapping says nothing", "Write value: {} to pass it.")
            return self.group(path, value, above)
        conditions = (*above, *_conditions(path, value.get("when")))
        if "value" in value:
            return self._constant(path, value, conditions)
        if "choices" in value:
            _known_keys(path, value, frozenset({"choices", "when"}))
            self._add(Dimension(_name(path), _choice(path, value["choices"]), conditions))
            return One(_name(path))
        return self._range(path, value, conditions)

    def _constant(
        self, path: tuple[str, ...], value: Mapping[str, Any], conditions: tuple[Condition, ...]
    ) -> Parameter:
        _known_keys(path, value, frozenset({"value", "when"}))
        if not conditions:
            return Constant(value["value"])
        # A choice of one: that is what can be there or not.
        self._add(Dimension(_name(path), Choice((value["value"],)), conditions))
        return One(_name(path))

    def _range(
        self, path: tuple[str, ...], value: Mapping[str, Any], conditions: tuple[Condition, ...]
    ) -> Parameter:
        _known_keys(path, value, _OF_RANGES)
        distribution = _range_of(path, value)
        counts = _counts(path, value)
        if counts is None:
            self._add(Dimension(_name(path), distribution, conditions))
            return One(_name(path))
        fewest, most = counts
        length = f"{_name(path)}.count"
        self._add(Dimension(length, Range(fewest, most, integer=True), conditions))
        items = tuple(f"{_name(path)}.{number}" for number in range(most))
        for number, item in enumerate(items):
            longer = Condition(length, least=number + 1)
            self._add(Dimension(item, distribution, (*conditions, longer)))
        return Several(length, items)

    def _add(self, dimension: Dimension) -> None:
        if dimension.name in self._found:
            raise InvalidRequest(f"parameters.{dimension.name}: there are two of this name.")
        self._found[dimension.name] = dimension
        if len(self._found) > _MOST_DIMENSIONS:
            raise InvalidRequest(f"parameters: more than {_MOST_DIMENSIONS} are too many.")

    def ordered(self) -> list[Dimension]:
        """Each dimension after those that its conditions name."""
        done: dict[str, Dimension] = {}
        for name in self._found:
            self._place(name, done, [])
        return list(done.values())

    def _place(self, name: str, done: dict[str, Dimension], waiting: list[str]) -> None:
        if name in done:
            return
        if name in waiting:
            circle = " -> ".join([*waiting[waiting.index(name) :], name])
            raise InvalidRequest(f"parameters: conditions go in a circle: {circle}.")
        dimension = self._found[name]
        for condition in dimension.conditions:
            other = self._found.get(condition.name)
            if other is None:
                raise InvalidRequest(
                    f"parameters.{name}: when names {condition.name}, which is not searched.",
                    _meant(condition.name, list(self._found)),
                )
            _check_possible(name, condition, other)
            self._place(condition.name, done, [*waiting, name])
        done[name] = dimension


def _check_possible(name: str, condition: Condition, other: Dimension) -> None:
    if not isinstance(other.distribution, Choice):
        return
    for value in condition.values:
        if not any(same(value, known) for known in other.distribution.values):
            shown = ", ".join(map(repr, other.distribution.values))
            raise InvalidRequest(
                f"parameters.{name}: when {condition.name} is {value!r}, which it never is.",
                f"It is one of {shown}.",
            )


def _conditions(path: tuple[str, ...], when: Any) -> tuple[Condition, ...]:
    if when is None:
        return ()
    if not is_mapping(when) or not when:
        raise _mistake(path, "when must be a mapping", "Write, say, when: {optimizer: sgd}.")
    return tuple(
        Condition(str(name), tuple(values) if is_list(values) else (values,))
        for name, values in when.items()
    )


def _choice(path: tuple[str, ...], values: Any) -> Choice:
    if not is_list(values) or not values:
        raise _mistake(path, "choices must be a list, and not empty")
    for number, value in enumerate(values):
        if any(same(value, other) for other in values[:number]):
            raise _mistake(path, f"{value!r} is among the choices twice")
    return Choice(tuple(values))


def _range_of(path: tuple[str, ...], value: Mapping[str, Any]) -> Range:
    for one, other in (("min", "max"), ("max", "min")):
        if one in value and other not in value:
            raise _mistake(path, f"there is {one} but no {other}")
    low, high = _number(path, "min", value["min"]), _number(path, "max", value["max"])
    if low > high:
        raise _mistake(path, f"min is {value['min']}, which is above max, {value['max']}")
    step = None if value.get("step") is None else _number(path, "step", value["step"])
    if step is not None and step <= 0:
        raise _mistake(path, "step must be above 0")
    log = _truth(path, "log", value.get("log", False))
    if log and low <= 0:
        raise _mistake(path, "on a log scale min must be above 0")
    if log and step is not None:
        raise _mistake(path, "a log scale has no step")
    given = (value["min"], value["max"], value.get("step") or 0)
    integer = _is_integer(path, value.get("type"), given)
    points = value.get("points")
    if points is not None and (type(points) is not int or not 1 <= points <= 10_000):
        raise _mistake(path, "points must be a whole number from 1 to 10000")
    return Range(low, high, step, log, integer, points)


def _is_integer(path: tuple[str, ...], said: Any, given: tuple[Any, ...]) -> bool:
    whole = all(float(number).is_integer() for number in given)
    if said not in (None, "int", "float"):
        raise _mistake(path, f"type is {said!r}", "It is int or float.")
    if said == "int" and not whole:
        raise _mistake(path, "type is int, but not all of its numbers are whole")
    if said is None:
        # As they are written: 1 to 4 are whole numbers, 1.0 to 4.0 are not.
        return all(type(number) is int for number in given)
    return said == "int"


def _counts(path: tuple[str, ...], value: Mapping[str, Any]) -> tuple[int, int] | None:
    fewest = value.get("count_min", value.get("min_count"))
    most = value.get("count_max", value.get("max_count"))
    if fewest is None and most is None:
        return None
    if type(fewest) is not int or type(most) is not int:
        raise _mistake(path, "count_min and count_max must both be whole numbers")
    if not 0 <= fewest <= most <= _LONGEST_LIST:
        raise _mistake(path, f"0 <= count_min <= count_max <= {_LONGEST_LIST} does not hold")
    return fewest, most


def _number(path: tuple[str, ...], key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _mistake(path, f"{key} must be a number, not {value!r}")
    return value


def _truth(path: tuple[str, ...], key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _mistake(path, f"{key} must be true or false, not {value!r}")
    return value


def _known_keys(path: tuple[str, ...], value: Mapping[str, Any], known: frozenset[str]) -> None:
    for key in value:
        if key not in known:
            hint = _meant(str(key), sorted(known))
            raise _mistake(path, f"{key!r} means nothing beside {_mark(value)}", hint)


def _mark(value: Mapping[str, Any]) -> str:
    return " and ".join(sorted(_MARKS & value.keys()))


def _meant(word: str, known: list[str]) -> str:
    meant = nearest(word, known)
    return f"Did you mean {meant[0]}?" if meant else f"Known: {', '.join(known)}."


def _name(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _mistake(path: tuple[str, ...], what: str, hint: str = "") -> InvalidRequest:
    return InvalidRequest(f"parameters.{_name(path)}: {what}.", hint)
