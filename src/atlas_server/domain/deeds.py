"""What people did, as the audit log has it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that somebody did, or tried; `outcome` is the status that was answered."""

    time: float
    user: str
    through: str
    address: str
    action: str
    target: str
    outcome: int

    def as_dict(self) -> dict[str, Any]:
        """Return it with its fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None is no condition. `before` is the number of an entry."""

    user: str | None = None
    action: str | None = None
    since: float | None = None
    before: int | None = None
