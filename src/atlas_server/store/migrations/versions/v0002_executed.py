"""Jobs that run without a scheduler, the errors that end programs, and ranks of metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns."""
    kind = sa.Column("kind", sa.String(16), nullable=False, server_default="scheduled")
    op.add_column("jobs", kind)
    op.add_column("attempts", sa.Column("error", sa.JSON(), nullable=True))
    op.add_column("metrics", sa.Column("rank", sa.Integer(), nullable=True))
