"""The tables of searches, beside those of `tables`."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text

from atlas_server.store.column_types import Id, Json
from atlas_server.store.tables import metadata

# `memo` is what samplers want to be remembered of the whole search; `spent` are the seconds that it
# went on before `active_since`, which is empty while it does not.
searches = Table(
    "searches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("search_id", String(36), nullable=False, unique=True),
    Column("name", String, nullable=False, unique=True),
    Column("project_id", Id, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("user", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text),
    Column("definition", Json, nullable=False),
    Column("spec", Json, nullable=False),
    # As of jobs: for workers alone, never shown.
    Column("secrets", Json),
    Column("bundle", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("active_since", Float),
    Column("spent", Float, nullable=False),
    Index(None, "project_id"),
    Index(None, "state"),
    sqlite_autoincrement=True,
)

# Which job a trial is stands here with the trial itself: both come in one transaction. What the
# trial came to stays when its job is deleted.
trials = Table(
    "trials",
    metadata,
    Column("search", Id, ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("job_id", String(36), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    # The values of the dimensions, by their dotted names.
    Column("point", Json, nullable=False),
    # One number for each objective; of the first one also where SQL can order it.
    Column("scores", Json),
    Column("score", Float),
    Column("message", Text),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    # What the sampler and the pruner noted down for themselves.
    Column("memo", Json),
    sqlite_with_rowid=False,
)
