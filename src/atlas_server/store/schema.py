"""All tables of the newest schema: each module that has some is named here."""

from __future__ import annotations

from atlas_server.store import (
    account_tables,
    limit_tables,
    retention_tables,
    search_tables,
    tables,
)

metadata = tables.metadata
assert all(
    each.metadata is metadata
    for each in (account_tables, limit_tables, retention_tables, search_tables)
)
