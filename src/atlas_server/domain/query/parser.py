"""From a text to what it says: `parse`."""

from __future__ import annotations

from typing import Any

from atlas_server.domain.query import columns, comparisons
from atlas_server.domain.query.grammar import parser
from atlas_server.domain.query.literals import Calendar
from atlas_server.domain.query.mistakes import mistake, unexpected
from atlas_server.domain.query.syntax import (
    AllOf,
    AnyOf,
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

MAX_LENGTH = 4000
_DEEPEST = 40
_MOST_CONDITIONS = 200


def parse(text: str, calendar: Calendar) -> Query:
    """Return what a query says. Raises InvalidQuery, which tells where the mistake is."""
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - as in grammar

    if len(text) > MAX_LENGTH:
        message = f"The query is longer than {MAX_LENGTH} characters."
        raise mistake(message, Place(MAX_LENGTH, len(text) - MAX_LENGTH))
    if "\0" in text:
        raise mistake("A query cannot hold a NUL character.", Place(text.index("\0"), 1))
    try:
        tree: Any = parser().parse(text)
    except UnexpectedInput as error:
        raise unexpected(error, text) from error
    return _Reader(text, calendar).query(tree)


def parse_sort(text: str) -> Sort:
    """Return the order that `-metrics.loss` means. Raises InvalidQuery."""
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - as in grammar

    try:
        tree: Any = parser().parse(f"sort:{text}")
    except UnexpectedInput as error:
        raise mistake(f"'{text}' is no column to sort by.", Place(0, len(text))) from error
    if tree.children[0].data != "sorting" or len(tree.children[-1].children) != 1:
        raise mistake(f"'{text}' is no column to sort by.", Place(0, len(text)))
    return columns.sort(tree.children[-1].children[0])


class _Reader:
    """Reads the parser's tree; everything that the grammar cannot check is checked here."""

    def __init__(self, text: str, calendar: Calendar) -> None:
        self._text = text
        self._calendar = calendar
        self._left = _MOST_CONDITIONS

    def query(self, tree: Any) -> Query:
        condition: Condition | None = None
        sort: tuple[Sort, ...] = ()
        end = len(self._text)
        for child in tree.children:
            if child is None:
                continue
            if child.data == "sorting":
                sort = tuple(columns.sort(item) for item in child.children)
                end = child.meta.start_pos
            else:
                condition = self._condition(child, 0)
        # Its keyword is filtered out of the tree: the conditions end before it.
        return Query(condition, sort, self._text.lower().rfind("sort", 0, end) if sort else end)

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
                return Has(columns.column(children[0]))
            case "missing":
                return Not(Has(columns.column(children[0])))
            case "tagged":
                return self._tagged(*(comparisons.Value.of(child) for child in children))
            case "text":
                return Search(comparisons.Value.of(tree).text)
            case _:
                return self._comparison(tree)

    def _comparison(self, tree: Any) -> Condition:
        column = columns.column(tree.children[0])
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
        column = columns.Column(Source.TAG, key.text, place=key.place)
        return Has(column) if value is None else Equals(column, value.text)
