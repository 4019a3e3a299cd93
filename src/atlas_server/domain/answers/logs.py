"""Logs as the API shows them."""

from __future__ import annotations

from typing_extensions import TypedDict


class LogLines(TypedDict):
    """Lines from number `first` (from 0), which begins at byte `offset` of the log.

    `cut` are indexes of lines of which only the beginning is here.
    """

    attempt: int
    first: int
    offset: int
    lines: list[str]
    cut: list[int]
    total_lines: int
    size: int


class LogMatch(TypedDict):
    """The first match in a line; `start` and `end` are characters of `text`, as JavaScript counts.

    Of a long line `text` is the part around the match.
    """

    line: int
    offset: int
    start: int
    end: int
    text: str


class LogMatches(TypedDict):
    """What was found; the search goes on at byte `next`, null where it has reached the end."""

    attempt: int
    matches: list[LogMatch]
    next: int | None
