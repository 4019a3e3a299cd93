"""Contract types to JSON values and back. No I/O."""

from __future__ import annotations

import dataclasses
import math
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Return `value` (dataclasses, enums, containers) as JSON values, None fields left in."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def finite(value: Any) -> Any:
    """Return JSON values with NaN and infinities as the texts that strict JSON can carry."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value
