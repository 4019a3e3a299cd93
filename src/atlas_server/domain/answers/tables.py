"""Columns, values and queries as the API shows them."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from atlas_server.domain.answers.jobs import Scalar, UnknownColumn


class FieldShown(TypedDict):
    """A column that every job has; `words`, where there are any, are all its values."""

    name: str
    type: Literal["text", "word", "number", "time", "duration", "bytes"]
    note: str
    words: list[str]


class ParamColumn(TypedDict):
    """A parameter: how many jobs have it, and as what."""

    name: str
    jobs: int
    numbers: int
    texts: int
    others: int


class MetricColumn(TypedDict):
    """A metric: how many jobs have it, and how many of them a number; which value is best."""

    name: str
    jobs: int
    numbers: int
    goal: Literal["min", "max"]


class TagColumn(TypedDict):
    """A tag: how many jobs have it."""

    name: str
    jobs: int


class Columns(TypedDict):
    """Every column of the jobs of a project."""

    jobs: int
    fields: list[FieldShown]
    params: list[ParamColumn]
    metrics: list[MetricColumn]
    tags: list[TagColumn]


class ValueCount(TypedDict):
    """A value and how many jobs have it."""

    value: Scalar
    jobs: int


class ColumnValues(TypedDict):
    """The values of a column, the most frequent first; `more`: there are others."""

    column: str
    min: float | None
    max: float | None
    values: list[ValueCount]
    more: bool


class ValueTable(TypedDict):
    """Jobs by columns; the lists are all equally long."""

    total: int
    jobs: list[str]
    names: list[str | None]
    states: list[str]
    columns: dict[str, list[Scalar]]


class GroupMetric(TypedDict):
    """A metric over the jobs of a group; the deviation is that of a sample."""

    jobs: int
    mean: float | None
    deviation: float | None
    min: float | None
    max: float | None


class GroupRow(TypedDict):
    """Jobs that agree in some columns."""

    by: list[Scalar]
    jobs: int
    metrics: dict[str, GroupMetric]


class Groups(TypedDict):
    """Groups of jobs, the largest first; `more`: there are others."""

    groups: list[GroupRow]
    more: bool


class QueryMistake(TypedDict):
    """What is wrong with a query, and where: in characters."""

    message: str
    hint: str | None
    position: int
    length: int
    suggestions: list[str]


class QueryCheck(TypedDict):
    """What a query's text says, or what is wrong with it."""

    valid: bool
    error: QueryMistake | None
    columns: list[str]
    sort: list[str]
    without_sort: str
    unknown: list[UnknownColumn]


class CompletionWord(TypedDict):
    """A word that may stand here."""

    text: str
    kind: Literal["column", "operator", "value", "keyword"]
    note: str


class Completion(TypedDict):
    """What may be typed in place of the characters from `start` to `end`."""

    start: int
    end: int
    words: list[CompletionWord]
