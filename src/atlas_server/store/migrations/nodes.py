"""The part of revision 0004 that is about nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def add_drained_nodes() -> None:
    """Make the table."""
    op.create_table(
        "drained_nodes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_drained_nodes"),
    )
