"""Completions of a query, from what the jobs of a project have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.answers.tables import Completion
from atlas_server.domain.query.completion import Spot, spot, values, words
from atlas_server.domain.query.fields import find_field
from atlas_server.services.queries import Asked, Queries, names_of
from atlas_server.store import listing
from atlas_server.store.engine import Store
from foundations.errors import InvalidQuery

_MOST_VALUES = 30


class Completions:
    """What may be typed next."""

    def __init__(self, store: Store, queries: Queries) -> None:
        self._store = store
        self._queries = queries

    def complete(self, text: str, cursor: int | None, project: str | None) -> Completion:
        """Return the words that may stand at the cursor (default: the end), the likeliest first."""
        at = spot(text, len(text) if cursor is None else min(cursor, len(text)))
        with self._store.read() as connection:
            if at.column is None:
                found = words(at, names_of(connection, project))
            else:
                found = values(at, self._known(connection, at, project))
        shown: Any = [{"text": word.text, "kind": word.kind, "note": word.note} for word in found]
        return {"start": at.start, "end": at.end, "words": shown}

    def _known(self, connection: Connection, at: Spot, project: str | None) -> list[Any]:
        assert at.column is not None
        field = find_field(at.column)
        # Numbers and times of fields are typed, not chosen.
        if field is not None and (field.words or field.kind.value not in ("word", "text")):
            return []
        try:
            [column] = self._queries.columns(connection, [at.column], project)
            selection, _ = self._queries.selection(connection, Asked(project))
        except InvalidQuery:
            return []
        _, _, found = listing.values(connection, selection, column, at.prefix, _MOST_VALUES)
        return [value for value, _ in found if value is not None]
