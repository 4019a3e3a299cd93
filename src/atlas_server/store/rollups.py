"""Curves in stretches: the lowest and highest point of each, written as soon as it is complete.

A stretch of level n is `BASE * FACTOR ** n` points in the order in which they came; number k of
them begins after point `k * size`. What is not yet a whole stretch is read point by point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from atlas_server.store.tables import metric_rollups, metrics

BASE = 32
FACTOR = 4

Row = dict[str, Any]


def complete(connection: Connection, known: int, points: Sequence[Row]) -> list[Row]:
    """Return the stretches that end with these points of one curve, which had `known` before.

    `points` are rows of `metrics`, in order.
    """
    first, last = known // BASE, (known + len(points)) // BASE
    if first == last:
        return []
    job, key = points[0]["job"], points[0]["key"]
    begun = known - first * BASE
    before = _points(connection, job, key, first * BASE, known) if begun else []
    fresh = [*before, *points]
    rows = [
        _of_points(job, key, first + n, fresh[n * BASE : (n + 1) * BASE])
        for n in range(last - first)
    ]
    return rows + _higher(connection, job, key, first, rows)


def _higher(
    connection: Connection, job: int, key: int, first: int, lower: Sequence[Row]
) -> list[Row]:
    """The stretches of the levels above that end with the given ones of level 0."""
    found: list[Row] = []
    level = 0
    while lower:
        start, end = first // FACTOR, (first + len(lower)) // FACTOR
        if start == end:
            break
        begun = first - start * FACTOR
        before = _stretches(connection, job, key, level, start * FACTOR, first) if begun else []
        parts = [*before, *lower]
        level += 1
        lower = [
            _of_stretches(job, key, level, start + n, parts[n * FACTOR : (n + 1) * FACTOR])
            for n in range(end - start)
        ]
        first = start
        found += lower
    return found


def _of_points(job: int, key: int, stretch: int, points: Sequence[Row]) -> Row:
    numbers = [point for point in points if point["number"] is not None]
    low = min(numbers, key=_number, default=None)
    high = max(numbers, key=_number, default=None)
    mark = None
    if len(numbers) < len(points):
        mark = next(point for point in points if point["number"] is None)
    steps = [point["step"] for point in points if point["step"] is not None]
    times = [point["time"] for point in points]
    return {
        "job": job,
        "key": key,
        "level": 0,
        "stretch": stretch,
        "step_from": min(steps, default=None),
        "step_to": max(steps, default=None),
        "time_from": min(times),
        "time_to": max(times),
        **_point("low", low, "number"),
        **_point("high", high, "number"),
        "marks": len(points) - len(numbers),
        **_point("mark", mark, "text"),
    }


def _of_stretches(job: int, key: int, level: int, stretch: int, parts: Sequence[Row]) -> Row:
    filled = [part for part in parts if part["low"] is not None]
    low = min(filled, key=lambda part: part["low"], default=parts[0])
    high = max(filled, key=lambda part: part["high"], default=parts[0])
    mark = next((part for part in parts if part["marks"]), parts[0])
    row: Row = {
        "job": job,
        "key": key,
        "level": level,
        "stretch": stretch,
        "step_from": min(_given(parts, "step_from"), default=None),
        "step_to": max(_given(parts, "step_to"), default=None),
        "time_from": min(part["time_from"] for part in parts),
        "time_to": max(part["time_to"] for part in parts),
        "marks": sum(part["marks"] for part in parts),
    }
    row.update((name, low[name]) for name in ("low_seq", "low_time", "low_step", "low"))
    row.update((name, high[name]) for name in ("high_seq", "high_time", "high_step", "high"))
    row.update((name, mark[name]) for name in ("mark_seq", "mark_time", "mark_step", "mark_text"))
    return row


def _point(name: str, point: Row | None, value: str) -> Row:
    """A point's columns below `name`, all empty where there is no such point."""
    point = point or {}
    return {
        f"{name}_seq": point.get("seq"),
        f"{name}_time": point.get("time"),
        f"{name}_step": point.get("step"),
        f"{name}_text" if value == "text" else name: point.get(value),
    }


def _number(point: Row) -> float:
    return point["number"]


def _given(parts: Iterable[Row], name: str) -> list[float]:
    return [part[name] for part in parts if part[name] is not None]


def _points(connection: Connection, job: int, key: int, after: int, to: int) -> list[Row]:
    values = {"wanted": job, "of": key, "after": after, "until": to}
    return [dict(row) for row in connection.execute(_POINTS, values).mappings()]


def _stretches(
    connection: Connection, job: int, key: int, level: int, first: int, end: int
) -> list[Row]:
    values = {"wanted": job, "of": key, "on": level, "first": first, "end": end}
    return [dict(row) for row in connection.execute(STRETCHES, values).mappings()]


# Built once: composing a statement costs several times as much as executing it.
ADD_ROLLUPS = insert(metric_rollups)
_POINTS = (
    select(metrics)
    .where(
        metrics.c.job == bindparam("wanted"),
        metrics.c.key == bindparam("of"),
        metrics.c.seq > bindparam("after"),
        metrics.c.seq <= bindparam("until"),
    )
    .order_by(metrics.c.seq)
)
STRETCHES = (
    select(metric_rollups)
    .where(
        metric_rollups.c.job == bindparam("wanted"),
        metric_rollups.c.key == bindparam("of"),
        metric_rollups.c.level == bindparam("on"),
        metric_rollups.c.stretch >= bindparam("first"),
        metric_rollups.c.stretch < bindparam("end"),
    )
    .order_by(metric_rollups.c.stretch)
)
