"""Assignments of several runners in one text, of which each reads its own. No I/O.

The first line has what all have in common, each further one the number of a runner and what is its
own. A text with one line is the assignment of a single runner.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, Optional

_ABSENT = object()


def fold(told: Mapping[int, Mapping[str, Any]]) -> List[str]:
    """Return the lines for runners by their numbers, of which there is one at least."""
    common = _common(list(told.values()))
    own = (f"{number} {json.dumps(_own(each, common))}" for number, each in told.items())
    return [json.dumps(common), *own]


def unfold(lines: Iterable[str], number: Optional[str]) -> Dict[str, Any]:
    """Return the assignment of the runner of this number; None: of the only one.

    Raises LookupError where there is none.
    """
    rest = iter(lines)
    common: Dict[str, Any] = json.loads(next(rest))
    if number is None:
        return common
    for line in rest:
        whose, _, own = line.partition(" ")
        if whose == number:
            return _joined(common, json.loads(own))
    raise LookupError(f"There is no assignment for the runner {number}.")


def _common(told: List[Mapping[str, Any]]) -> Dict[str, Any]:
    first, *others = told
    found: Dict[str, Any] = {}
    for key, value in first.items():
        values = [each.get(key, _ABSENT) for each in others]
        if all(_are_equal(each, value) for each in values):
            found[key] = value
        elif all(isinstance(each, dict) for each in (value, *values)):
            found[key] = _common([value, *values])
    return found


def _own(told: Mapping[str, Any], common: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        key: _own(value, common[key]) if key in common else value
        for key, value in told.items()
        if key not in common or not _are_equal(value, common[key])
    }


def _joined(common: Mapping[str, Any], own: Mapping[str, Any]) -> Dict[str, Any]:
    merged = {
        key: _joined(common[key], value) if key in common else value for key, value in own.items()
    }
    return {**common, **merged}


def _are_equal(one: Any, other: Any) -> bool:
    """Whether they are the same as JSON: 1, 1.0 and true are not."""
    if _ABSENT in (one, other):
        return False
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
