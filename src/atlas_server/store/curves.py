"""Curves as charts need them: some points of very many, without reading them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, select

from atlas_server.store.rollups import BASE, FACTOR, STRETCHES
from atlas_server.store.tables import jobs, latest_metrics, metric_keys, metric_rollups, metrics

Point = tuple[int, float, "float | None", "float | None", "str | None"]
"""(seq, time, step, number, text): `text` where the value is no finite number."""

Mark = tuple[int, float, "float | None", str, int]
"""(seq, time, step, text, count): values that are left out of a sample."""


_ENDS = ("first", "last", "begun stretch", "unfinished stretch")


@dataclass(frozen=True, slots=True)
class Known:
    """Which curve it is (row keys), and how many points it has; the seq of the last is the same."""

    job: int
    key: int
    count: int


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a curve: along `axis` (step, time or seq) from `first` to `last`, both inside.

    Only what comes after point number `after`.
    """

    axis: str = "step"
    first: float | None = None
    last: float | None = None
    after: int = 0

    @property
    def is_bounded(self) -> bool:
        """Whether points are left out because of where they lie."""
        return self.first is not None or self.last is not None

    def holds(self, point: Point) -> bool:
        """Whether a point lies in it; one without a step lies in no range of steps."""
        seq, time, step, _, _ = point
        place = {"seq": seq, "time": time}.get(self.axis, step)
        if place is None:
            return not self.is_bounded
        return (self.first is None or place >= self.first) and (
            self.last is None or place <= self.last
        )


@dataclass(slots=True)
class Sample:
    """Points of a curve, in order; when not `sampled` all of the range."""

    points: list[Point] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    sampled: bool = False


def find(connection: Connection, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    """Return the curves that exist of these (job ID, metric) pairs."""
    ids = sorted({job for job, _ in wanted})
    names = sorted({name for _, name in wanted})
    rows = connection.execute(_FIND, {"ids": ids, "names": names})
    return {(job_id, name): Known(*known) for job_id, name, *known in rows}


def sample(connection: Connection, curve: Known, part: Range, points: int) -> Sample:
    """Return a part of a curve as `points` points at most."""
    begin, end = _bounds(connection, curve, part)
    count = end - begin
    # Some room for the ends, so that there are never more than was asked for.
    points = max(2, points - 2 * len(_ENDS))
    if count <= 0:
        return Sample()
    level = _level(count, points)
    if level is None:
        found = [point for point in _raw(connection, curve, begin, end) if part.holds(point)]
        return Sample(found) if len(found) <= points else _thinned(found, points)
    return _from_stretches(connection, curve, part, begin, end, level, points)


def _level(count: int, points: int) -> int | None:
    """The highest level that has two points for each two wanted; None where points themselves do.

    Points are read one by one as long as they are not very many more than wanted.
    """
    level = None
    size = BASE
    while count // size >= points // 2 and count > 2 * points:
        level = 0 if level is None else level + 1
        size *= FACTOR
    return level


def _bounds(connection: Connection, curve: Known, part: Range) -> tuple[int, int]:
    """Number of the point before the first one that can lie in the range, and that of the last."""
    begin, end = part.after, curve.count
    if not part.is_bounded:
        return begin, end
    if part.axis == "seq":
        first = begin if part.first is None else max(begin, int(min(part.first, end + 1)) - 1)
        last = end if part.last is None else min(end, int(max(part.last, 0)))
        return first, last
    table = metric_rollups.c
    low, high = (
        (table.step_from, table.step_to)
        if part.axis == "step"
        else (table.time_from, table.time_to)
    )
    # What is beyond the last whole stretch is looked at point by point.
    whole = curve.count // BASE
    if not whole:
        return begin, end
    inside = [table.job == curve.job, table.key == curve.key, table.level == 0]
    if part.first is not None:
        inside.append(high >= part.first)
    if part.last is not None:
        inside.append(low <= part.last)
    query = select(func.min(table.stretch), func.max(table.stretch)).where(and_(*inside))
    first, last = connection.execute(query).one()
    tail = _raw(connection, curve, max(begin, whole * BASE), end)
    met = any(part.holds(point) for point in tail)
    if first is None:
        return (max(begin, whole * BASE), end) if met else (0, 0)
    return max(begin, first * BASE), end if met else min(end, (last + 1) * BASE)


def _raw(connection: Connection, curve: Known, begin: int, end: int) -> list[Point]:
    values = {"wanted": curve.job, "of": curve.key, "after": begin, "until": end}
    return [tuple(row) for row in connection.execute(_RAW, values).all()]


def _from_stretches(
    connection: Connection,
    curve: Known,
    part: Range,
    begin: int,
    end: int,
    level: int,
    points: int,
) -> Sample:
    """Whole stretches from their lowest and highest points, what is before and after them raw."""
    size = BASE * FACTOR**level
    first, last = -(-begin // size), end // size
    values = {"wanted": curve.job, "of": curve.key, "on": level, "first": first, "end": last}
    rows: Any = connection.execute(STRETCHES, values).all()
    before = _raw(connection, curve, begin, min(end, first * size))
    after = _raw(connection, curve, max(begin, last * size), end)
    found = [*before[:1], *_thinned(before, max(2, 2 * len(before) // size)).points]
    marks = _marks(before)
    # Several stretches in one where there are more than wanted.
    width = max(1, -(-2 * len(rows) // points))
    for start in range(0, len(rows), width):
        group = rows[start : start + width]
        found += _extremes(group)
        marked = [row for row in group if row.marks]
        if marked:
            one = marked[0]
            count = sum(row.marks for row in marked)
            marks.append((one.mark_seq, one.mark_time, one.mark_step, one.mark_text, count))
    found += _thinned(after, max(2, 2 * len(after) // size)).points
    marks += _marks(after)
    edges = [*_raw(connection, curve, begin, begin + 1), *_raw(connection, curve, end - 1, end)]
    unique = {point[0]: point for point in [*found, *edges] if part.holds(point)}
    ordered = [unique[seq] for seq in sorted(unique) if unique[seq][4] is None]
    return Sample(ordered, _fewer(marks, points), sampled=True)


def _extremes(group: Sequence[Any]) -> list[Point]:
    filled = [row for row in group if row.low is not None]
    if not filled:
        return []
    low = min(filled, key=lambda row: row.low)
    high = max(filled, key=lambda row: row.high)
    both = {
        (low.low_seq, low.low_time, low.low_step, low.low, None),
        (high.high_seq, high.high_time, high.high_step, high.high, None),
    }
    return sorted(both)


def _thinned(found: Sequence[Point], points: int) -> Sample:
    """Of each of `points / 2` stretches the lowest and the highest; the first and the last too."""
    numbers = [point for point in found if point[4] is None]
    if len(numbers) <= points:
        return Sample(numbers, _fewer(_marks(found), points), sampled=True)
    parts = max(1, points // 2 - 1)
    kept: set[Point] = {numbers[0], numbers[-1]}
    for index in range(parts):
        part = numbers[index * len(numbers) // parts : (index + 1) * len(numbers) // parts]
        kept.add(min(part, key=_number))
        kept.add(max(part, key=_number))
    return Sample(sorted(kept), _fewer(_marks(found), points), sampled=True)


def _marks(found: Sequence[Point]) -> list[Mark]:
    """Runs of values that are no finite numbers, one mark each."""
    marks: list[Mark] = []
    previous: str | None = None
    for seq, time, step, _, text in found:
        if text is not None and text == previous:
            marks[-1] = (*marks[-1][:4], marks[-1][4] + 1)
        elif text is not None:
            marks.append((seq, time, step, text, 1))
        previous = text
    return marks


def _fewer(marks: list[Mark], most: int) -> list[Mark]:
    """Marks that stand for their neighbours where there are too many."""
    width = -(-len(marks) // max(1, most))
    groups = [marks[start : start + width] for start in range(0, len(marks), max(1, width))]
    return [(*group[0][:4], sum(mark[4] for mark in group)) for group in groups]


def _number(point: Point) -> float:
    assert point[3] is not None
    return point[3]


# Built once: composing a statement costs several times as much as executing it.
_FIND = (
    select(
        jobs.c.job_id,
        metric_keys.c.name,
        latest_metrics.c.job,
        latest_metrics.c.key,
        latest_metrics.c.count,
    )
    .join_from(jobs, latest_metrics, latest_metrics.c.job == jobs.c.id)
    .join(metric_keys, metric_keys.c.id == latest_metrics.c.key)
    .where(
        jobs.c.job_id.in_(bindparam("ids", expanding=True)),
        metric_keys.c.name.in_(bindparam("names", expanding=True)),
    )
)
_RAW = (
    select(metrics.c.seq, metrics.c.time, metrics.c.step, metrics.c.number, metrics.c.text)
    .where(
        metrics.c.job == bindparam("wanted"),
        metrics.c.key == bindparam("of"),
        metrics.c.seq > bindparam("after"),
        metrics.c.seq <= bindparam("until"),
    )
    .order_by(metrics.c.seq)
)
