"""All jobs of a project with what they have come to, for programs that compare them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from atlas_server.services.queries import Asked, Queries
from atlas_server.store import listing, projects, results, searches
from atlas_server.store.engine import Store, parts
from atlas_server.store.results import ResultRow
from foundations.errors import NotFound

_PAGE = 2000


class Results:
    """Reads."""

    def __init__(self, store: Store, queries: Queries) -> None:
        self._store = store
        self._queries = queries

    def lines(self, project: str, query: str = "") -> Iterator[bytes]:
        """Return lines of JSON as they are read: of all jobs, newest first, or of those of a query.

        Each is `[job_id, user, state, submitted_at, started_at, finished_at, given parameters or
        null, recorded parameters, newest values of the metrics, tags]`. The state of trials that
        were given up early is `pruned`. Raises NotFound, or InvalidQuery.
        """
        with self._store.read() as connection:
            if not projects.is_there(connection, project):
                raise NotFound(f"There is no project '{project}'.", "See: foundations projects")
            if query:
                selection, _ = self._queries.selection(connection, Asked(project, query))
                return self._selected(listing.keys_of(connection, selection))
        return self._pages(project)

    def _selected(self, keys: Sequence[int]) -> Iterator[bytes]:
        for part in parts(keys):
            with self._store.read() as connection:
                yield _lines(connection, results.of_jobs(connection, part))

    def _pages(self, project: str) -> Iterator[bytes]:
        before = None
        while True:
            # Page by page: a reader that is slow must not hold the database.
            with self._store.read() as connection:
                rows = results.page(connection, project, before, _PAGE)
                if not rows:
                    return
                lines = _lines(connection, rows)
            before = rows[-1].id
            yield lines


def _lines(connection: Connection, rows: Sequence[ResultRow]) -> bytes:
    pruned = searches.pruned(connection, [row.id for row in rows])
    return "".join(
        _line(row._replace(state="pruned") if row.id in pruned else row) for row in rows
    ).encode()


def _line(row: ResultRow) -> str:
    head = json.dumps(row[1:7])
    return f"{head[:-1]},{row.given or 'null'},{row.params},{row.metrics},{row.tags}]\n"
