"""The part of revision 0004 that is about reading parameters and metrics column by column.

Whoever makes `params` or `latest_metrics` anew has to make their triggers anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

_LISTED = (
    "project_id", "id", "state", "user", "name", "reason", "priority", "cpus", "memory", "gpus",
    "exit_code", "attempts", "submitted_at", "queued_at", "started_at", "finished_at",
    "kind", "search", "job_id",
)  # fmt: skip
# A row's place is its name's number times 2**40 and its job's number. Not INSERT OR IGNORE: what a
# statement says of conflicts holds in the triggers that it fires.
_TRIGGERS = (
    """
    CREATE TRIGGER param_values_insert AFTER INSERT ON params BEGIN
        INSERT INTO param_keys (name) SELECT new.key
            WHERE NOT EXISTS (SELECT 1 FROM param_keys WHERE name = new.key);
        INSERT INTO param_values SELECT id * 1099511627776 + new.job, new.number, new.text
            FROM param_keys WHERE name = new.key;
    END
    """,
    """
    CREATE TRIGGER param_values_update AFTER UPDATE OF number, text ON params BEGIN
        UPDATE param_values SET number = new.number, text = new.text WHERE id =
            (SELECT id FROM param_keys WHERE name = new.key) * 1099511627776 + new.job;
    END
    """,
    """
    CREATE TRIGGER param_values_delete AFTER DELETE ON params BEGIN
        DELETE FROM param_values WHERE id =
            (SELECT id FROM param_keys WHERE name = old.key) * 1099511627776 + old.job;
    END
    """,
    """
    CREATE TRIGGER metric_values_insert AFTER INSERT ON latest_metrics BEGIN
        INSERT INTO metric_values VALUES (new.key * 1099511627776 + new.job,
            new.count, new.number, new.text, new.lowest, new.highest);
    END
    """,
    """
    CREATE TRIGGER metric_values_update
    AFTER UPDATE OF count, number, text, lowest, highest ON latest_metrics BEGIN
        UPDATE metric_values SET count = new.count, number = new.number, text = new.text,
            lowest = new.lowest, highest = new.highest
            WHERE id = new.key * 1099511627776 + new.job;
    END
    """,
    """
    CREATE TRIGGER metric_values_delete AFTER DELETE ON latest_metrics BEGIN
        DELETE FROM metric_values WHERE id = old.key * 1099511627776 + old.job;
    END
    """,
)


def add_value_columns() -> None:
    """Make the tables, fill them, and have triggers keep them; in SQLite alone.

    In both databases IDs stand in the index of all that tables show, for charts over many jobs.
    """
    op.drop_index("ix_jobs_listing", "jobs")
    op.create_index("ix_jobs_listing", "jobs", list(_LISTED))
    if op.get_bind().dialect.name != "sqlite":
        return
    op.create_table(
        "param_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_param_keys"),
        sa.UniqueConstraint("name", name="uq_param_keys_name"),
    )
    op.create_table(
        "param_values",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Float()),
        sa.Column("text", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_param_values"),
    )
    op.create_table(
        "metric_values",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("number", sa.Float()),
        sa.Column("text", sa.Text()),
        sa.Column("lowest", sa.Float()),
        sa.Column("highest", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_metric_values"),
    )
    op.execute("INSERT INTO param_keys (name) SELECT DISTINCT key FROM params ORDER BY key")
    op.execute(
        "INSERT INTO param_values SELECT id * 1099511627776 + job, number, text"
        " FROM params JOIN param_keys ON name = key ORDER BY 1"
    )
    op.execute(
        "INSERT INTO metric_values SELECT key * 1099511627776 + job, count, number, text, lowest,"
        " highest FROM latest_metrics ORDER BY 1"
    )
    for trigger in _TRIGGERS:
        op.execute(trigger)
