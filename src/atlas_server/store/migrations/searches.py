"""The part of revision 0003 that is about searches and their trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LISTED = (
    "project_id", "id", "state", "user", "name", "reason", "priority", "cpus", "memory", "gpus",
    "exit_code", "attempts", "submitted_at", "queued_at", "started_at", "finished_at",
    "kind", "search",
)  # fmt: skip


def add_searches() -> None:
    """Make the tables, and the column that tells a trial's search."""
    op.add_column("jobs", sa.Column("search", sa.String()))
    op.create_index("ix_jobs_search_state", "jobs", ["search", "state"])
    op.drop_index("ix_jobs_listing", "jobs")
    op.create_index("ix_jobs_listing", "jobs", list(_LISTED))
    op.create_table(
        "searches",
        sa.Column("id", _ID, nullable=False),
        sa.Column("search_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON()),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float()),
        sa.Column("active_since", sa.Float()),
        sa.Column("spent", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_searches_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_searches"),
        sa.UniqueConstraint("search_id", name="uq_searches_search_id"),
        sa.UniqueConstraint("name", name="uq_searches_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_searches_project_id", "searches", ["project_id"])
    op.create_index("ix_searches_state", "searches", ["state"])
    op.create_table(
        "trials",
        sa.Column("search", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("point", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON()),
        sa.Column("score", sa.Float()),
        sa.Column("message", sa.Text()),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float()),
        sa.Column("finished_at", sa.Float()),
        sa.Column("memo", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["search"], ["searches.id"], name="fk_trials_search", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search", "number", name="pk_trials"),
        sa.UniqueConstraint("job_id", name="uq_trials_job_id"),
        sqlite_with_rowid=False,
    )
