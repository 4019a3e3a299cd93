"""Values as a query writes them: numbers, durations, sizes, dates."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Protocol

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))([a-zA-Z]+)")
_SECONDS = {
    "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800, "ms": 0.001,
}  # fmt: skip
_POWERS = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DATE = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[T ](\d{1,2})(?::(\d{2})(?::(\d{2}))?)?\s*(Z|[-+]\d{2}:?\d{2})?)?)?)?"
)
_LARGEST = 1e15  # of seconds; what is beyond is no time


@dataclass(frozen=True, slots=True)
class Date:
    """A moment as calendars and clocks tell it; what is None was not said.

    `offset` is that of its zone, in minutes east of Greenwich.
    """

    year: int
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    offset: int | None = None


class Calendar(Protocol):
    """Knows what time it is, and when a date was."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def day(self, back: int) -> tuple[float, float]:
        """When the day began and ended that is `back` days before today."""
        ...

    def span(self, date: Date) -> tuple[float, float]:
        """When the year, month, day, hour, minute or second begins and ends. ValueError."""
        ...


def number(text: str) -> float | None:
    """The finite number that a text is, if it is one."""
    found = float(text) if _NUMBER.fullmatch(text) else None
    return found if found is not None and math.isfinite(found) else None


def duration(text: str) -> float | None:
    """Seconds: `90`, `15m`, `2h`, `1d`, `1w`."""
    plain = number(text)
    if plain is not None:
        return plain
    found = _QUANTITY.fullmatch(text)
    unit = _SECONDS.get(found[2].lower()) if found else None
    seconds = float(found[1]) * unit if found and unit else math.inf
    return seconds if abs(seconds) <= _LARGEST else None


def size(text: str) -> float | None:
    """Bytes: `8GB`, `512MiB`, a number."""
    plain = number(text)
    if plain is not None:
        return plain
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    unit = found[2].lower()
    unit = unit if unit == "b" else unit.removesuffix("b").removesuffix("i")
    amount = float(found[1]) * 1024.0 ** _POWERS[unit] if unit in _POWERS else math.inf
    return amount if math.isfinite(amount) else None


def truth(text: str) -> bool | None:
    """The truth value that a text is, if it is one."""
    return {"true": True, "false": False}.get(text.lower())


def span(text: str, calendar: Calendar) -> tuple[float, float] | None:
    """When a time begins and ends: `2026-11`, `2026-11-24 18:30`, `-7d`, `now`, `today`.

    Raises ValueError for a date that no calendar has.
    """
    lower = text.lower()
    if lower in ("today", "yesterday"):
        return calendar.day(0 if lower == "today" else 1)
    if lower == "now":
        return (calendar.now(), calendar.now())
    if text[:1] in ("-", "+"):
        ago = duration(text) if number(text) is None else None
        if ago is None:
            return None
        return (calendar.now() + ago, calendar.now() + ago)
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, *others = (None if part is None else int(part) for part in found.groups()[:6])
    assert year is not None
    return calendar.span(Date(year, *others, offset=_offset(found[7])))


def _offset(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes
