"""Stores on either kind of database, for tests that have to hold on both."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas_server.store.engine import Store

if TYPE_CHECKING:
    from tests.postgres import Cluster


@functools.lru_cache(maxsize=1)
def empty_file() -> bytes:
    """A file that is up to date: the migrations take longer than most tests."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "atlas.db"
        Store(path).close()
        return path.read_bytes()


def said_again(old: Any, new: Any) -> bool:
    """Whether all that was told once is told again; later versions may tell more."""
    if isinstance(old, dict):
        return all(name in new and said_again(old[name], new[name]) for name in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(said_again, old, new))
    return old == new


class Databases:
    """Gives out empty databases of one kind, of SQLite where there is no cluster."""

    def __init__(self, cluster: Cluster | None) -> None:
        self.cluster = cluster
        self.is_postgres = cluster is not None

    def new(self, folder: Path) -> Path | str:
        """Make an empty database of the newest schema; a file in `folder`, where it is one."""
        if self.cluster is None:
            path = folder / "atlas.db"
            path.write_bytes(empty_file())
            return path
        return self.cluster.url(self.cluster.create(self._template))

    def drop(self, where: Path | str) -> None:
        """Remove a database that was made; files go with their folder."""
        if self.cluster is not None and isinstance(where, str):
            name = where.partition("@/")[2].partition("?")[0]
            self.cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def store(self, folder: Path) -> Iterator[Store]:
        """A store on a database of its own."""
        where = self.new(folder)
        store = Store(where)
        try:
            yield store
        finally:
            store.close()
            self.drop(where)

    @functools.cached_property
    def _template(self) -> str:
        assert self.cluster is not None
        name = self.cluster.create()
        Store(self.cluster.url(name)).close()
        return name
