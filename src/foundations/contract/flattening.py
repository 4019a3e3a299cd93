"""Nested parameters as one level of names. Pure; for both sides of the wire."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

_SCALARS = (str, int, float, type(None))


def flatten(
    values: Dict[Any, Any], convert: Optional[Callable[[Any, Any], Any]] = None
) -> Dict[Any, Any]:
    """Return `values` with nested dicts and lists spread over keys joined by underscores.

    `{"a": {"b": 1}, "c": [2, 3], "d": []}` becomes `{"a_b": 1, "c_0": 2, "c_1": 3, "d": None}`.
    Where two keys come out the same the later one wins. `convert(key, value)` is asked about what
    is no JSON scalar and no dict, and returns a scalar, a list or a dict.
    """
    flattened = {}  # type: Dict[Any, Any]
    for key, value in values.items():
        if convert is not None and not isinstance(value, (*_SCALARS, dict)):
            value = convert(key, value)
        if isinstance(value, list):
            value = dict(enumerate(value))
        if not isinstance(value, dict):
            flattened[key] = value
        elif value:
            named = {"{}_{}".format(key, name): item for name, item in value.items()}
            flattened.update(flatten(named, convert))
        else:
            flattened[key] = None
    return flattened
