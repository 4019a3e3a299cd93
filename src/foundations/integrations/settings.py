"""Settings of other frameworks as parameters: whatever is none becomes text."""

from __future__ import annotations

import math

from foundations.scalars import NotScalar, plain_scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Union

_LONGEST_TEXT = 500


def recordable(settings: Any) -> Dict[str, Any]:
    """Return a mapping or a namespace as `log_params` takes it, objects in it by their text."""
    found = settings if hasattr(settings, "items") else vars(settings)
    return {str(name): _recordable(value) for name, value in found.items()}


def _recordable(value: Any) -> Any:
    if value is None:
        return None
    if hasattr(value, "items"):
        return recordable(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_recordable(element) for element in value]
    try:
        return plain_scalar(value)
    except NotScalar:
        text = getattr(value, "__name__", None) or str(value)
        return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."


def numbers_in(values: Optional[Mapping[Any, Any]]) -> Dict[str, Union[int, float]]:
    """Return those of the values that are numbers: frameworks tell other things beside them."""
    found: Dict[str, Union[int, float]] = {}
    for name, value in (values or {}).items():
        try:
            number = plain_scalar(value)
        except NotScalar:
            continue
        if not isinstance(number, str):
            found[str(name)] = number
    return found


def whole(step: Any) -> Optional[int]:
    """Return a step as a whole number, None for one that is none."""
    return int(step) if step is not None and math.isfinite(step) else None
