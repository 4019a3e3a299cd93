"""What is kept for how long, and jobs that share allocations or take several nodes.

Revision ID: 0004
"""

from __future__ import annotations

from atlas_server.store.migrations.logins import add_login_failures
from atlas_server.store.migrations.retention import add_retention

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add tables and columns, and fill them from what is there."""
    add_login_failures()
    add_retention()
