"""NaN and infinities: the texts that strict JSON can carry, and back. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def from_text(value: Any) -> Any:
    """Return the number that one of the three texts stands for, anything else as it is."""
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
