"""How long whoever looks after an attempt may be silent."""

from __future__ import annotations

LOCAL = "local"
ELSEWHERE = "elsewhere"
"""The executor of jobs that run on another machine without a scheduler: nobody can look there."""

# Laptops sleep, and networks are away for days: what comes later must still be wanted.
_PATIENCE_ELSEWHERE = 7 * 86400.0


def length(executor: str, seconds: float) -> float:
    """Return for how many seconds an attempt of `executor` may be silent; others for `seconds`."""
    return max(seconds, _PATIENCE_ELSEWHERE) if executor == ELSEWHERE else seconds


def last_heard(executor: str, lease_until: float, seconds: float) -> float:
    """Return when the lease that ends at `lease_until` was given."""
    return lease_until - length(executor, seconds)
