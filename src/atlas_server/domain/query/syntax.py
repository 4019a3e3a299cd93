"""What a query says: conditions on columns, joined, and an order.

Conditions are two-valued: one on a value that a job does not have does not hold, and its negation
does. Numbers stand for times (seconds since the epoch), durations (seconds) and sizes (bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum


class Source(Enum):
    """Where a column's values come from."""

    FIELD = ""
    PARAM = "params."
    METRIC = "metrics."
    TAG = "tags."


class Aggregate(Enum):
    """Which number of a metric's curve stands for it."""

    LAST = "last"
    MIN = "min"
    MAX = "max"
    BEST = "best"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the text something stands, in characters."""

    position: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of jobs. `name` is a field's, or that of a parameter, metric or tag."""

    source: Source
    name: str
    aggregate: Aggregate = Aggregate.LAST
    place: Place = field(default=Place(), compare=False)

    def __str__(self) -> str:
        """The column as the language writes it."""
        name = self.source.value + (self.name if self.source is Source.FIELD else quoted(self.name))
        return name if self.aggregate is Aggregate.LAST else f"{self.aggregate.value}({name})"


@dataclass(frozen=True, slots=True)
class Compare:
    """A number that stands in this relation (`<`, `<=`, `=`, `>=`, `>`) to another."""

    column: Column
    relation: str
    number: float


@dataclass(frozen=True, slots=True)
class Equals:
    """A text that is this one; with `folded` whatever the case of ASCII letters."""

    column: Column
    text: str
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """A text that has this one in it, whatever the case of ASCII letters."""

    column: Column
    text: str


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A text that begins with this one."""

    column: Column
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """A text in which a regular expression (RE2) is found."""

    column: Column
    pattern: str


@dataclass(frozen=True, slots=True)
class Has:
    """The job has a value in the column."""

    column: Column


@dataclass(frozen=True, slots=True)
class Search:
    """A text found anywhere among a job's texts, whatever the case."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the conditions holds at least."""

    conditions: tuple[Condition, ...]


Leaf = Compare | Equals | Contains | StartsWith | Matches | Has | Search
Condition = Leaf | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Sort:
    """An order: by a column, upwards or downwards; jobs without a value come last."""

    column: Column
    descending: bool = False

    def __str__(self) -> str:
        """The order as the language writes it."""
        return ("-" if self.descending else "") + str(self.column)


@dataclass(frozen=True, slots=True)
class Query:
    """Which jobs, and in which order; no condition means all, no order the newest first.

    `end` is where in the text the conditions end and `sort:` begins.
    """

    condition: Condition | None = None
    sort: tuple[Sort, ...] = ()
    end: int = 0

    def columns(self) -> Iterator[Column]:
        """Yield every column that is named."""
        if self.condition is not None:
            yield from columns_of(self.condition)
        for sort in self.sort:
            yield sort.column


def columns_of(condition: Condition) -> Iterator[Column]:
    """Yield every column that a condition names."""
    match condition:
        case AllOf(conditions) | AnyOf(conditions):
            for part in conditions:
                yield from columns_of(part)
        case Not(inner):
            yield from columns_of(inner)
        case Search():
            pass
        case _:
            yield condition.column


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@-+%")


def quoted(name: str) -> str:
    """A name or value as the language writes it: in quotes unless it is plain."""
    if name and _PLAIN.issuperset(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
