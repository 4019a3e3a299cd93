"""Rows of the audit log: who did what, when, from where."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from atlas_server.domain.deeds import AuditFilter, Deed
from atlas_server.store.account_tables import audit


def append(connection: Connection, deeds: Sequence[Deed]) -> None:
    """Add entries."""
    connection.execute(insert(audit), [deed.as_dict() for deed in deeds])


def entries(connection: Connection, condition: AuditFilter, limit: int) -> list[tuple[int, Deed]]:
    """Return the newest entries that fit with their numbers, newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if condition.user is not None:
        query = query.where(audit.c.user == condition.user)
    if condition.action is not None:
        query = query.where(audit.c.action == condition.action)
    if condition.since is not None:
        query = query.where(audit.c.time >= condition.since)
    if condition.before is not None:
        query = query.where(audit.c.id < condition.before)
    found: list[tuple[int, Deed]] = []
    for row in connection.execute(query).mappings():
        values = dict(row)
        found.append((values.pop("id"), Deed(**values)))
    return found
