"""What the doctor finds: a verdict on each thing, and the next step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from foundations.errors import FoundationsError

OK = "ok"
NOTE = "none"
"""It is not there, and nothing here needs it."""
WARNING = "warning"
FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; `hint` says what to do."""

    verdict: str
    text: str
    hint: str = ""


Look = Callable[[], Finding]


def examined(checks: Iterable[tuple[str, Look]]) -> Iterator[tuple[str, Finding]]:
    """Yield each check's name and what came of it; what it stumbles over is a failure."""
    for name, look in checks:
        try:
            found = look()
        except FoundationsError as error:
            found = Finding(FAILURE, error.message, error.hint)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            found = Finding(FAILURE, f"{place}{error.strerror or error}.")
        except (ValueError, subprocess.SubprocessError) as error:
            found = Finding(FAILURE, f"This cannot be looked at: {error}.")
        yield name, found


def size(count: float) -> str:
    """Return bytes as people say them."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def age(seconds: float) -> str:
    """Return a time as people say it."""
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"
