"""What is kept for how long, as the API shows it."""

from __future__ import annotations

from typing_extensions import TypedDict


class RetentionRule(TypedDict):
    """Removes what is in `remove` of jobs that have been over for `after` seconds; null: never.

    `projects` are patterns where `origin` is "file"; where it is "set", the one project for which
    it counts instead of the file's.
    """

    name: str
    remove: list[str]
    after: float | None
    states: list[str]
    projects: list[str]
    keep_last: int
    origin: str


class RetentionTable(TypedDict):
    """All rules, and the tags with one of which a job is left alone."""

    rules: list[RetentionRule]
    exempt: list[str]
