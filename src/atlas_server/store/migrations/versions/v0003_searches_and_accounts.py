"""Searches, accounts, and what several processes and machines have to agree on.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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
    _add_wishes()


def _add_wishes() -> None:
    """Where jobs may run; those that wait for a container are not for nodes without an engine."""
    op.add_column("jobs", sa.Column("wish", sa.String))
    jobs = sa.table(
        "jobs", sa.column("id"), sa.column("state"), sa.column("spec", sa.JSON), sa.column("wish")
    )
    connection = op.get_bind()
    for key, spec in connection.execute(
        sa.select(jobs.c.id, jobs.c.spec).where(jobs.c.state == "queued")
    ).all():
        if (spec.get("worker") or {}).get("image"):
            wish = "[null, null, true]"
            connection.execute(sa.update(jobs).where(jobs.c.id == key).values(wish=wish))
