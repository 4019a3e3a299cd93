"""What several processes have to agree on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def add_scheduler_lease() -> None:
    """Make the row of the process that schedules, where there will be one."""
    op.create_table(
        "scheduler_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("nodes", sa.JSON(), nullable=True),
        sa.Column("usage", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_scheduler_lease"),
    )
