"""Whether a metric is best low or high."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

Goal = Literal["min", "max"]

# Parts of names whose best value is the lowest; of everything else it is the highest.
_LOW = frozenset(
    {
        "loss", "losses", "err", "error", "errors", "mse", "mae", "rmse", "mape", "nll", "ppl",
        "perplexity", "regret", "cost", "time", "seconds", "latency", "duration", "distance", "fid",
        "wer", "cer", "eer", "divergence", "kl", "bpc", "penalty", "memory", "crossentropy",
        "logloss", "rmsle", "brier",
    }
)  # fmt: skip
_PART = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")


def goal_of(metric: str, goals: Mapping[str, str]) -> Goal:
    """`min` or `max`: what people said of this metric, else what its name suggests."""
    said = goals.get(metric)
    if said in ("min", "max"):
        return "min" if said == "min" else "max"
    return _suggested(metric)


@lru_cache(maxsize=10_000)
def _suggested(metric: str) -> Goal:
    parts = {part.lower() for part in _PART.findall(metric)}
    return "min" if parts & _LOW else "max"


def best_of(
    metric: str, goals: Mapping[str, str], low: float | None, high: float | None
) -> float | None:
    """The best of a metric's numbers, None where it has none."""
    return low if goal_of(metric, goals) == "min" else high
