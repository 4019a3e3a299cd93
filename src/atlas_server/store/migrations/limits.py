"""The part of revision 0003 that is about limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def add_limits() -> None:
    """Make the tables."""
    op.create_table(
        "limits",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_limits"),
    )
    op.create_table(
        "manifest_sizes",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_manifest_sizes"),
    )
