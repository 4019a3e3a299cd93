"""All tables of the newest schema: each module that has some is named here."""

from __future__ import annotations

from atlas_server.store import account_tables, search_tables, tables

assert account_tables.metadata is search_tables.metadata is tables.metadata
metadata = tables.metadata
