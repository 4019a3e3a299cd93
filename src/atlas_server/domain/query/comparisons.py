"""What comparing a column with a value means, by the kind of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atlas_server.domain import patterns
from atlas_server.domain.query import literals
from atlas_server.domain.query.columns import unquoted
from atlas_server.domain.query.fields import FIELDS, Kind
from atlas_server.domain.query.literals import Calendar
from atlas_server.domain.query.mistakes import mistake, nearest
from atlas_server.domain.query.syntax import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Compare,
    Condition,
    Contains,
    Equals,
    Has,
    Matches,
    Not,
    Place,
    Source,
    StartsWith,
)

_ORDERED = ("<", "<=", ">", ">=")
_NEGATED = {"!=": "=", "!~": "~"}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity", "-inf": "-Infinity"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was written; what was in quotes is a text whatever it looks like."""

    text: str
    quoted: bool
    place: Place

    @classmethod
    def of(cls, tree: Any) -> Value:
        """The value that a tree of one word holds."""
        token = tree.children[0]
        place = Place(token.start_pos, len(token))
        return cls(unquoted(str(token)), token.type == "STRING", place)


def comparison(
    column: Column, operator: str, at: Place, value: Value, calendar: Calendar
) -> Condition:
    """The condition that `column operator value` means. Raises InvalidQuery."""
    operator = "=" if operator == "==" else operator
    if operator in _NEGATED:
        inside = comparison(column, _NEGATED[operator], at, value, calendar)
        return AllOf((Has(column), Not(inside)))
    if operator == "~":
        return _pattern(column, at, value)
    if column.source is Source.PARAM:
        return _of_param(column, operator, value)
    if column.source is Source.METRIC:
        return _of_metric(column, operator, value)
    if column.source is Source.TAG:
        _check_not_ordered(column, operator, at, "Tags are texts")
        return Equals(column, value.text, folded=operator == ":")
    return _of_field(column, operator, at, value, calendar)


def _of_param(column: Column, operator: str, value: Value) -> Condition:
    number = None if value.quoted else literals.number(value.text)
    if operator in _ORDERED:
        if number is None:
            raise _no_number(value)
        return Compare(column, operator, number)
    # Truth values are kept as texts, and people write them in any case.
    folded = operator == ":" or (not value.quoted and literals.truth(value.text) is not None)
    text = Equals(column, value.text, folded)
    return text if number is None else AnyOf((Compare(column, "=", number), text))


def _of_metric(column: Column, operator: str, value: Value) -> Condition:
    number = literals.number(value.text)
    truth = literals.truth(value.text)
    if number is None and truth is not None:
        number = float(truth)
    if number is not None and not value.quoted:
        return Compare(column, "=" if operator == ":" else operator, number)
    if operator in _ORDERED or column.aggregate is not Aggregate.LAST:
        raise _no_number(value)
    text = value.text if value.quoted else _NOT_FINITE.get(value.text.lower(), value.text)
    return Equals(column, text, folded=operator == ":")


def _of_field(
    column: Column, operator: str, at: Place, value: Value, calendar: Calendar
) -> Condition:
    kind = FIELDS[column.name].kind
    if kind is Kind.TIME:
        return _of_time(column, operator, value, calendar)
    if kind in (Kind.TEXT, Kind.WORD):
        _check_not_ordered(column, operator, at, f"'{column.name}' is a text")
        return _of_text(column, kind, operator, value)
    if kind is Kind.NUMBER:
        number, what = literals.number(value.text), "a number"
    elif kind is Kind.DURATION:
        number, what = literals.duration(value.text), "a duration such as 90s, 15m or 2h"
    else:
        number, what = literals.size(value.text), "an amount of memory such as 8GB"
    if number is None:
        raise mistake(f"'{value.text}' is not {what}.", value.place)
    return Compare(column, "=" if operator == ":" else operator, number)


def _of_text(column: Column, kind: Kind, operator: str, value: Value) -> Condition:
    words = FIELDS[column.name].words
    if words:
        if value.text.lower() not in words:
            message = f"There is no {column.name} '{value.text}'."
            raise mistake(message, value.place, nearest(value.text, words) or words)
        return Equals(column, value.text.lower())
    if column.name == "id" and operator == ":":
        return StartsWith(column, value.text.lower())
    if kind is Kind.TEXT and operator == ":":
        return Contains(column, value.text)
    return Equals(column, value.text, folded=operator == ":")


def _of_time(column: Column, operator: str, value: Value, calendar: Calendar) -> Condition:
    try:
        span = literals.span(value.text, calendar)
    except ValueError:
        raise mistake(f"No calendar has the date '{value.text}'.", value.place) from None
    if span is None:
        suggestions = ["-" + value.text] if literals.duration(value.text) is not None else []
        message = f"'{value.text}' is not a time such as 2026-11-24, today or -7d."
        raise mistake(message, value.place, suggestions)
    begin, end = span
    if begin == end:
        return Compare(column, "=" if operator == ":" else operator, begin)
    # A day is the whole of it: after it, before it, within it.
    before, after = Compare(column, "<", end), Compare(column, ">=", begin)
    match operator:
        case "<":
            return Compare(column, "<", begin)
        case "<=":
            return before
        case ">":
            return Compare(column, ">=", end)
        case ">=":
            return after
        case _:
            return AllOf((after, before))


def _pattern(column: Column, at: Place, value: Value) -> Condition:
    if column.source is Source.FIELD and FIELDS[column.name].kind not in (Kind.TEXT, Kind.WORD):
        raise mistake(f"'{column.name}' is no text that a pattern could match.", at)
    if column.aggregate is not Aggregate.LAST:
        raise mistake(f"{column} is no text that a pattern could match.", at)
    problem = patterns.problem(value.text)
    if problem is not None:
        raise mistake(f"The pattern '{value.text}' cannot be read: {problem}.", value.place)
    return Matches(column, value.text)


def _check_not_ordered(column: Column, operator: str, at: Place, why: str) -> None:
    if operator in _ORDERED:
        raise mistake(f"{why}; '{operator}' compares numbers and times.", at)


def _no_number(value: Value) -> Exception:
    return mistake(f"'{value.text}' is not a number.", value.place)
