"""Whether the database answers."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from atlas_server.store.engine import Store
from foundations.errors import FoundationsError


def trouble(store: Store) -> str | None:
    """Return what keeps the database from answering; None: nothing."""
    try:
        with store.read() as connection:
            connection.execute(select(1))
    except (SQLAlchemyError, FoundationsError) as error:
        return f"the database does not answer ({type(error).__name__})"
    return None
