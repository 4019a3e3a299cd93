"""Nested parameters as one level of names."""

from __future__ import annotations

from foundations.contract.flattening import flatten
from foundations.scalars import NotScalar, plain_scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


def flatten_parameter_dictionary(param_dictionary: Dict[Any, Any]) -> Dict[Any, Any]:
    """Return `param_dictionary` with nested values spread over keys joined by underscores.

    `{"a": {"b": 1}, "c": [2, 3], "d": []}` becomes `{"a_b": 1, "c_0": 2, "c_1": 3, "d": None}`.
    Text, numbers, booleans and None stay; numbers of NumPy and the like become Python's. Where two
    keys come out the same the later one wins. Raises TypeError, naming the key, for a value that is
    neither a scalar nor a collection.
    """
    return flatten(param_dictionary, _plain)


def _plain(key: Any, value: Any) -> Any:
    """A scalar as Python's own, a collection as a list."""
    try:
        return plain_scalar(value)
    except NotScalar:
        try:
            return list(value) if len(value) else []
        except TypeError:
            raise TypeError(
                'Parameter "{}" is a {}; it should be a text, number, boolean, None, '
                "or a dictionary or list of those.".format(key, type(value).__name__)
            ) from None
