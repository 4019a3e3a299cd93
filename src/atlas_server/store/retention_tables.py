"""Tables of what was removed by rules, and of what jobs' files come to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Integer, String, Table

from atlas_server.store.column_types import Id, Json
from atlas_server.store.tables import metadata

# What a job had and has no more: `what` is a word of `domain.retention`, `rule` the one by which.
# There is a row also where there was nothing to remove (`files` is 0): it need not be looked for.
removals = Table(
    "removals",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("rule", String, nullable=False),
    Column("time", Float, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What an admin has set for `what` of one project; `after` is null where it is kept for ever.
project_rules = Table(
    "retention_rules",
    metadata,
    Column("project", String, primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("after", Float),
    Column("states", Json, nullable=False),
    Column("keep_last", Integer, nullable=False),
)

# What the files of a job that is over come to besides contents: logs, directories, measurements.
file_sizes = Table(
    "file_sizes",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("size", BigInteger, nullable=False),
)
