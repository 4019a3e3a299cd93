"""Curves of metrics as the API shows them: columns of equal length."""

from __future__ import annotations

from typing_extensions import TypedDict


class CurveMark(TypedDict):
    """Values that are no finite numbers, left out of a sample: the first of `count` of them."""

    seq: int
    step: float | None
    time: float
    value: str
    count: int


class Curve(TypedDict):
    """A metric of a job; `count` points altogether, `last` is the seq of the newest."""

    job_id: str
    metric: str
    count: int
    last: int
    sampled: bool
    seq: list[int]
    step: list[float | None]
    time: list[float]
    value: list[float | str]
    marks: list[CurveMark]


class Curves(TypedDict):
    """Curves in the order in which they were asked for."""

    curves: list[Curve]


class Points(TypedDict):
    """A page of points `[seq, time, step, value]` of one metric."""

    name: str
    points: list[tuple[int, float, float | None, float | str]]
