"""The columns that jobs of a project have, beside the fields: what a query can name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atlas_server.domain.query.mistakes import nearest
from atlas_server.domain.query.syntax import Column, Query, Source


@dataclass(frozen=True, slots=True)
class Names:
    """Names of parameters, metrics and tags."""

    params: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def of(self, source: Source) -> frozenset[str]:
        """The names of one kind."""
        by_source = {Source.PARAM: self.params, Source.METRIC: self.metrics, Source.TAG: self.tags}
        return by_source.get(source, frozenset())

    def written(self) -> list[str]:
        """Every one of them as the language writes it."""
        sources = (Source.METRIC, Source.PARAM, Source.TAG)
        return [str(Column(source, name)) for source in sources for name in sorted(self.of(source))]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A column that no job has, and those that may have been meant."""

    column: Column
    suggestions: tuple[str, ...]


def unknown(query: Query, names: Names) -> list[Unknown]:
    """The columns of a query that no job has: not there yet, or mistyped."""
    found: dict[Column, Unknown] = {}
    for column in query.columns():
        known = names.of(column.source)
        if column.source is not Source.FIELD and column.name not in known:
            meant = (Column(column.source, name) for name in nearest(column.name, known))
            found.setdefault(column, Unknown(column, tuple(str(item) for item in meant)))
    return list(found.values())


def meant_by(word: str, names: Names, fields: Iterable[str]) -> list[str]:
    """The columns that a word without `metrics.` or the like before it may mean."""
    same = [
        str(Column(source, word))
        for source in (Source.METRIC, Source.PARAM, Source.TAG)
        if word in names.of(source)
    ]
    written = {column.partition(".")[2] or column: column for column in names.written()}
    alike = nearest(word, [*fields, *written])
    return list(dict.fromkeys([*same, *(written.get(name, name) for name in alike)]))[:5]
