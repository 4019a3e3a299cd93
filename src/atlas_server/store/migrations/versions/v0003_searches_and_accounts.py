"""Searches, accounts, and what several processes and machines have to agree on.

Revision ID: 0003
"""

from __future__ import annotations

from atlas_server.store.migrations.accounts import add_accounts
from atlas_server.store.migrations.leadership import add_scheduler_lease
from atlas_server.store.migrations.limits import add_limits
from atlas_server.store.migrations.searches import add_searches

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add tables and columns, and fill them from what is there."""
    add_searches()
    add_accounts()
    add_limits()
    add_scheduler_lease()
