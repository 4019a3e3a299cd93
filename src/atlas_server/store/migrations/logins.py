"""The part of revision 0004 that is about logins that failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def add_login_failures() -> None:
    """Make the table."""
    op.create_table(
        "login_failures",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last", "login_failures", ["last"])
