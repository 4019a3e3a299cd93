"""Tables of nodes: what people have said of them."""

from __future__ import annotations

from sqlalchemy import Column, Float, String, Table, Text

from atlas_server.store.tables import metadata

# Nodes that get no new jobs, by whom and why, until that is taken back.
drained_nodes = Table(
    "drained_nodes",
    metadata,
    Column("name", String, primary_key=True),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
)
