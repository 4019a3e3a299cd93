"""Tables of limits, and of what counts against them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from atlas_server.store.column_types import Json
from atlas_server.store.tables import metadata

# Of a user or project (`kind`), or of all of them ("*"): {limit: number}.
limits = Table(
    "limits",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", String, primary_key=True),
    Column("limits", Json, nullable=False),
)

# Bytes of all that a manifest names, so that sums over jobs read no files. Filled when needed.
manifest_sizes = Table(
    "manifest_sizes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
)
