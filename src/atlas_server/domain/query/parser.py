"""From a text to what it says: `parse`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atlas_server.domain.query import comparisons
from atlas_server.domain.query.columns import ColumnReader
from atlas_server.domain.query.grammar import tree_of
from atlas_server.domain.query.literals import Calendar
from atlas_server.domain.query.mistakes import mistake
from atlas_server.domain.query.names import Names
from atlas_server.domain.query.syntax import (
    AllOf,
    AnyOf,
    Column,
    Condition,
    Equals,
    Has,
    Not,
    Place,
    Query,
    Search,
    Sort,
    Source,
)
from foundations.errors import InvalidQuery

MAX_LENGTH = 4000
_DEEPEST = 40
_MOST_CONDITIONS = 200


def parse(text: str, calendar: Calendar, names: Callable[[], Names] = Names) -> Query:
    """Return what a query says. Raises InvalidQuery, which tells where the mistake is.

    `names` is called where there is a mistake, to tell what may have been meant.
    """
    if len(text) > MAX_LENGTH:
        message = f"The query is longer than {MAX_LENGTH} characters."
        raise mistake(message, Place(MAX_LENGTH, len(text) - MAX_LENGTH))
    if "\0" in text:
        raise mistake("A query cannot hold a NUL character.", Place(text.index("\0"), 1))
    return _Reader(text, calendar, names).query(tree_of(text))


def parse_sort(text: str, names: Callable[[], Names] = Names) -> Sort:
    """Return the order that `-metrics.loss` means. Raises InvalidQuery."""
    return ColumnReader(names).sort(_only_column(text))


def parse_column(text: str, names: Callable[[], Names] = Names) -> Column:
    """Return the column that a text names, `min(metrics.loss)`. Raises InvalidQuery."""
    return ColumnReader(names).column(_only_column(text))


def _only_column(text: str) -> Any:
    refused = mistake(f"'{text}' is no column.", Place(0, len(text)))
    try:
        # What stands after `sort:` is columns and nothing else.
        tree: Any = tree_of(f"sort:{text}")
    except InvalidQuery:
        raise refused from None
    sorting = tree.children[-1]
    if sorting is None or len(sorting.children) != 1:
        raise refused
    return sorting.children[0]


class _Reader:
    """Reads the parser's tree; everything that the grammar cannot check is checked here."""

    def __init__(self, text: str, calendar: Calendar, names: Callable[[], Names]) -> None:
        self._text = text
        self._calendar = calendar
        self._columns = ColumnReader(names)
        self._left = _MOST_CONDITIONS

    def query(self, tree: Any) -> Query:
        condition: Condition | None = None
        sort: tuple[Sort, ...] = ()
        end = len(self._text)
        for child in tree.children:
            if child is None:
                continue
            if child.data == "sorting":
                sort = tuple(self._columns.sort(item) for item in child.children)
                end = child.meta.start_pos
            else:
                condition = self._condition(child, 0)
        return Query(condition, sort, end)

    def _condition(self, tree: Any, depth: int) -> Condition:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            what = "nested too deeply" if depth > _DEEPEST else "made of too many conditions"
            raise mistake(f"The query is {what}.", Place(0, len(self._text)))
        children = tree.children
        match str(tree.data):
            case "conjunction":
                return AllOf(tuple(self._condition(child, depth + 1) for child in children))
            case "disjunction":
                return AnyOf(tuple(self._condition(child, depth + 1) for child in children))
            case "negated":
                return Not(self._condition(children[0], depth + 1))
            case "present":
                return Has(self._columns.column(children[0]))
            case "missing":
                return Not(Has(self._columns.column(children[0])))
            case "tagged":
                return self._tagged(*(comparisons.Value.of(child) for child in children))
            case "text":
                return Search(comparisons.Value.of(tree).text)
            case _:
                return self._comparison(tree)

    def _comparison(self, tree: Any) -> Condition:
        column = self._columns.column(tree.children[0])
        operator, *values = tree.children[1:]
        given = [comparisons.Value.of(value) for value in values]
        if str(tree.data) == "comparison":
            place = Place(operator.start_pos or 0, len(operator))
            return comparisons.comparison(column, str(operator), place, given[0], self._calendar)
        place = Place(operator.start_pos or 0, len(operator))
        found = tuple(
            comparisons.comparison(column, "=", place, value, self._calendar) for value in given
        )
        inside = AnyOf(found)
        if not str(operator).lower().startswith("not"):
            return inside
        return AllOf((Has(column), Not(inside)))

    @staticmethod
    def _tagged(key: comparisons.Value, value: comparisons.Value | None = None) -> Condition:
        column = Column(Source.TAG, key.text, place=key.place)
        return Has(column) if value is None else Equals(column, value.text)
