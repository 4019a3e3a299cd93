"""What may be typed next in a query: columns, comparisons, values, keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from atlas_server.domain.query.fields import FIELDS, Kind, find_field
from atlas_server.domain.query.names import Names
from atlas_server.domain.query.syntax import Aggregate, Column, Source, quoted

_MOST = 50
# The word at the cursor begins after a sign; names of columns may have quotes in them.
_WORD = re.compile(r'[-+]?(?:\w+\.)?"(?:\\.|[^"\\])*"?$|[^\s()<>=!~:,"]*$')
_COMPARED = re.compile(
    r'((?:(?:min|max|last|best|count)\(\s*)?(?:\w+\.)?(?:"(?:\\.|[^"\\])*"|[^\s()<>=!~:,"]+)\s*\)?)'
    r"\s*(<=|>=|==|!=|!~|[<>=:~]|(?:not\s+)?in\s*\((?:[^()]*,)?)\s*$",
    re.IGNORECASE,
)
_SORTING = re.compile(r"sort\s*:[^()]*$", re.IGNORECASE)
_TIMES = ("-1h", "-1d", "-7d", "-30d", "today", "yesterday")


@dataclass(frozen=True, slots=True)
class Word:
    """A word that may stand at the cursor; `kind` is column, operator, value or keyword."""

    text: str
    kind: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the cursor is: what is replaced from `start` to `end`, and what is asked for there.

    With a `column` it is a value of that column.
    """

    start: int
    end: int
    prefix: str
    before: str
    column: str | None = None


def spot(text: str, cursor: int) -> Spot:
    """What stands around the cursor."""
    before = text[:cursor]
    found = _WORD.search(before)
    assert found is not None
    start, prefix = found.start(), found[0]
    left = before[:start]
    compared = _COMPARED.search(left)
    if compared is None:
        return Spot(start, cursor, prefix, left)
    column = compared[1].strip()
    return Spot(start, cursor, prefix.strip('"'), left, column)


def words(at: Spot, names: Names) -> list[Word]:
    """The words that may stand at a spot where no value is asked for."""
    sign = at.prefix[:1] if at.prefix[:1] in ("-", "+") else ""
    wanted = at.prefix.removeprefix(sign).lower()
    if _SORTING.search(at.before):
        return [Word(sign + word.text, word.kind, word.note) for word in _columns(names, wanted)]
    if _ends_with_condition(at.before) and not wanted:
        return [Word("and", "keyword"), Word("or", "keyword"), Word("sort:", "keyword", "in order")]
    if re.search(r"(?:^|[\s(])tags?:$", at.before, re.IGNORECASE):
        return _fitting((Word(quoted(name), "value", "tag") for name in sorted(names.tags)), wanted)
    found = _columns(names, wanted)
    return [*found, *_fitting(_KEYWORDS, wanted)][:_MOST]


def values(at: Spot, known: Iterable[object]) -> list[Word]:
    """The words that may stand where a value is asked for; `known` are values that jobs have."""
    field = find_field(at.column or "")
    fixed: Iterator[Word] = iter(())
    if field is not None and field.words:
        fixed = (Word(word, "value") for word in field.words)
    elif field is not None and field.kind is Kind.TIME:
        fixed = (Word(word, "value") for word in _TIMES)
    had = (Word(_written(value), "value") for value in known)
    return _fitting([*fixed, *had], at.prefix.lower())


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return quoted(str(value))


def _columns(names: Names, wanted: str) -> list[Word]:
    fields = (Word(field.name, "column", field.note) for field in FIELDS.values())
    recorded = [
        Word(str(Column(source, name)), "column", note)
        for source, note in (
            (Source.METRIC, "metric"),
            (Source.PARAM, "parameter"),
            (Source.TAG, "tag"),
        )
        for name in sorted(names.of(source))
    ]
    found = _fitting([*fields, *recorded], wanted)
    if any(wanted.startswith(f"{function.value[:2]}") for function in Aggregate) and wanted:
        found += _fitting(
            (
                Word(str(Column(Source.METRIC, name, aggregate)), "column", "metric")
                for aggregate in Aggregate
                if aggregate is not Aggregate.LAST
                for name in sorted(names.metrics)
            ),
            wanted,
        )
    return found[:_MOST]


def _fitting(given: Iterable[Word], wanted: str) -> list[Word]:
    """Words that begin so, then those that have it after a dot or anywhere."""
    ranked = [(_rank(word.text.lower(), wanted), word) for word in given]
    fitting = sorted((item for item in ranked if item[0] < 3), key=lambda item: item[0])
    return list(dict.fromkeys(word for _, word in fitting))[:_MOST]


def _rank(text: str, wanted: str) -> int:
    if text.startswith(wanted):
        return 0
    if text.partition(".")[2].startswith(wanted):
        return 1
    return 2 if wanted in text else 3


def _ends_with_condition(before: str) -> bool:
    """Whether a condition has just ended, with a space after it."""
    if not before.strip() or not before[-1].isspace():
        return False
    last = before.rsplit(maxsplit=1)[-1].lower()
    return last not in ("and", "or", "not", "in") and last[-1] not in "(<>=!~:,"


_KEYWORDS = (
    Word("not", "keyword", "the opposite"),
    Word("has:", "keyword", "there is a value"),
    Word("missing:", "keyword", "there is no value"),
    Word("tag:", "keyword", "has the tag"),
    Word("sort:", "keyword", "in order"),
)
