"""The columns that a query names, as the parser's tree has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from atlas_server.domain.query.fields import ALIASES, FIELDS, find_field
from atlas_server.domain.query.mistakes import mistake
from atlas_server.domain.query.names import Names, meant_by
from atlas_server.domain.query.syntax import Aggregate, Column, Place, Sort, Source

_SOURCES = {"p": Source.PARAM, "m": Source.METRIC, "t": Source.TAG}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class ColumnReader:
    """Reads columns; `names` are asked for what a wrong one may have meant."""

    def __init__(self, names: Callable[[], Names]) -> None:
        self._names = names

    def column(self, tree: Any) -> Column:
        """The column at a place where no sign can stand before it. Raises InvalidQuery."""
        found = self.sort(tree)
        token = tree.children[0]
        if token[:1] in "+-" and token[1:]:
            place = Place(token.start_pos, 1)
            raise mistake("A sign before a column means something in sort: alone.", place)
        return found.column

    def sort(self, tree: Any) -> Sort:
        """The column to sort by, and whether downwards. Raises InvalidQuery."""
        token = tree.children[0]
        written = str(token)
        place = Place(token.start_pos, len(token))
        sign = written[0] if written[0] in "+-" and len(written) > 1 else ""
        written = written.removeprefix(sign)
        if token.type == "FUNCTION":
            found = _aggregated(written.lower(), self.column(tree.children[1]), place)
        elif token.type == "NAME":
            found = _named(written, place)
        else:
            found = self._field(written, place)
        return Sort(found, sign == "-")

    def _field(self, written: str, place: Place) -> Column:
        known = find_field(written)
        if known is not None:
            return Column(Source.FIELD, known.name, place=place)
        words = meant_by(written, self._names(), [*FIELDS, *ALIASES])
        hints = list(dict.fromkeys(ALIASES.get(word, word) for word in words))
        if not hints:
            hints = [f"metrics.{written}", f"params.{written}"]
        raise mistake(f"There is no column '{written}'.", place, hints)


def unquoted(text: str) -> str:
    """What stands between quotes, or the text itself where there are none."""
    if len(text) > 1 and text[0] == '"' and text[-1] == '"':
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text


def _aggregated(function: str, inner: Column, place: Place) -> Column:
    place = Place(place.position, inner.place.position + inner.place.length - place.position + 1)
    if inner.source is not Source.METRIC or inner.aggregate is not Aggregate.LAST:
        raise mistake(f"{function}() is for a metric, as in {function}(metrics.loss).", place)
    return Column(Source.METRIC, inner.name, Aggregate(function), place)


def _named(written: str, place: Place) -> Column:
    prefix, _, name = written.partition(".")
    return Column(_SOURCES[prefix[0].lower()], unquoted(name), place=place)
