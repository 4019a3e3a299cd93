"""Limits and what is used of them, as the API shows them."""

from __future__ import annotations

from typing_extensions import TypedDict


class LimitsShown(TypedDict):
    """The most of each; null: no limit. `stored` in bytes; `share` is a weight, of users only."""

    jobs: int | None
    cpus: float | None
    gpus: float | None
    queued: int | None
    stored: int | None
    priority: int | None
    share: float | None


class UsedNow(TypedDict):
    """What one has now; `stored` is null where nothing limits it."""

    jobs: int
    cpus: float
    gpus: float
    queued: int
    stored: int | None


class LimitedOne(TypedDict):
    """A user or project (`kind`), or with the name "*" all that have no limits of their own.

    `limits` are those that count, everybody's among them; `origin` is where its own come from:
    "set", "file", or null where it has none.
    """

    kind: str
    name: str
    limits: LimitsShown
    used: UsedNow
    origin: str | None


class LimitTable(TypedDict):
    """All that have limits, or jobs that run or wait."""

    limits: list[LimitedOne]
