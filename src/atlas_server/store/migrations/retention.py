"""The part of revision 0004 that is about what is kept for how long."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def add_retention() -> None:
    """Make the tables; they fill as they are needed."""
    op.create_table(
        "retention_rules",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("after", sa.Float()),
        sa.Column("states", sa.JSON(), nullable=False),
        sa.Column("keep_last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project", "what", name="pk_retention_rules"),
    )
    op.create_table(
        "removals",
        sa.Column("job", _ID, nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_removals_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "what", name="pk_removals"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_sizes",
        sa.Column("job", _ID, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_file_sizes_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", name="pk_file_sizes"),
    )
