"""What tables of jobs are filtered, sorted and searched by, and what people say about jobs.

Revision ID: 0002
"""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LISTED = (
    "project_id", "id", "state", "user", "name", "reason", "priority", "cpus", "memory", "gpus",
    "exit_code", "attempts", "submitted_at", "queued_at", "started_at", "finished_at",
    "kind",
)  # fmt: skip
_BASE, _FACTOR = 32, 4


def upgrade() -> None:
    """Add tables and columns, and fill them from what is there."""
    _add_executed_jobs()
    _add_columns()
    _add_tables()
    connection = op.get_bind()
    for job in connection.execute(sa.text("SELECT id, spec FROM jobs")).all():
        _fill_params(connection, job.id, json.loads(job.spec))
        _fill_text(connection, job.id, json.loads(job.spec))
    connection.execute(
        sa.text(
            "UPDATE latest_metrics SET (lowest, highest) = (SELECT min(number), max(number) FROM"
            " metrics WHERE metrics.job = latest_metrics.job AND metrics.key = latest_metrics.key)"
        )
    )
    for job, key in connection.execute(sa.text("SELECT job, key FROM latest_metrics")).all():
        _fill_rollups(connection, job, key)
    _fill_columns(connection)


def _add_executed_jobs() -> None:
    """Jobs that run without a scheduler, the errors that end programs, and ranks of metrics."""
    kind = sa.Column("kind", sa.String(16), nullable=False, server_default="scheduled")
    op.add_column("jobs", kind)
    op.add_column("attempts", sa.Column("error", sa.JSON(), nullable=True))
    op.add_column("metrics", sa.Column("rank", sa.Integer(), nullable=True))


def _add_columns() -> None:
    op.add_column("projects", sa.Column("archived_at", sa.Float()))
    op.add_column("projects", sa.Column("description", sa.Text()))
    op.add_column("projects", sa.Column("metric", sa.String()))
    op.add_column("projects", sa.Column("goals", sa.JSON()))
    op.add_column("jobs", sa.Column("notes", sa.Text()))
    op.add_column("jobs", sa.Column("place", sa.BigInteger()))
    op.add_column("params", sa.Column("number", sa.Float()))
    op.add_column("params", sa.Column("text", sa.Text()))
    op.add_column("latest_metrics", sa.Column("lowest", sa.Float()))
    op.add_column("latest_metrics", sa.Column("highest", sa.Float()))
    op.add_column("artifacts", sa.Column("step", sa.Float()))
    op.drop_index("ix_jobs_project_id_id", "jobs")
    op.create_index("ix_jobs_listing", "jobs", list(_LISTED))


def _add_tables() -> None:
    op.create_table(
        "project_notes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("edited_at", sa.Float()),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_project_notes_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_project_notes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_project_notes_project_id", "project_notes", ["project_id"])
    op.create_table(
        "project_columns",
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("numbers", sa.Integer(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_project_columns_project_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "kind", "name", name="pk_project_columns"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_texts",
        sa.Column("job", _ID, nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_job_texts_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", name="pk_job_texts"),
    )
    op.create_table(
        "metric_rollups",
        sa.Column("job", _ID, nullable=False),
        sa.Column("key", _ID, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("stretch", sa.Integer(), nullable=False),
        sa.Column("step_from", sa.Float()),
        sa.Column("step_to", sa.Float()),
        sa.Column("time_from", sa.Float(), nullable=False),
        sa.Column("time_to", sa.Float(), nullable=False),
        sa.Column("low_seq", _ID),
        sa.Column("low_time", sa.Float()),
        sa.Column("low_step", sa.Float()),
        sa.Column("low", sa.Float()),
        sa.Column("high_seq", _ID),
        sa.Column("high_time", sa.Float()),
        sa.Column("high_step", sa.Float()),
        sa.Column("high", sa.Float()),
        sa.Column("marks", sa.Integer(), nullable=False),
        sa.Column("mark_seq", _ID),
        sa.Column("mark_time", sa.Float()),
        sa.Column("mark_step", sa.Float()),
        sa.Column("mark_text", sa.Text()),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name="fk_metric_rollups_job", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["key"], ["metric_keys.id"], name="fk_metric_rollups_key"),
        sa.PrimaryKeyConstraint("job", "key", "level", "stretch", name="pk_metric_rollups"),
        sqlite_with_rowid=False,
    )


def _fill_params(connection: sa.Connection, job: int, spec: dict[str, Any]) -> None:
    """Give parameters what can be ordered, and jobs those that they were submitted with."""
    # By its type: SQLite keeps a JSON number as a number.
    known = sa.text("SELECT key, value FROM params WHERE job = :job").columns(value=sa.JSON)
    recorded = {row.key: row.value for row in connection.execute(known, {"job": job})}
    values = {**_flat(spec.get("params") or {}), **recorded}
    for key, value in values.items():
        number, text = _typed(value)
        connection.execute(
            sa.text(
                "INSERT INTO params (job, key, value, number, text) VALUES (:job, :key, :value,"
                " :number, :text) ON CONFLICT (job, key) DO UPDATE SET number = :number,"
                " text = :text"
            ),
            {"job": job, "key": key, "value": json.dumps(value), "number": number, "text": text},
        )


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list):
            value = dict(enumerate(value))
        if isinstance(value, dict) and value:
            flat.update(_flat({f"{key}_{name}": item for name, item in value.items()}))
        else:
            flat[key] = None if isinstance(value, dict) else value
    return flat


def _typed(value: Any) -> tuple[float | None, str | None]:
    if isinstance(value, bool):
        return None, "true" if value else "false"
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        if math.isfinite(number):
            return number, None
        return None, "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return None, value if isinstance(value, str) else None


def _fill_text(connection: sa.Connection, job: int, spec: dict[str, Any]) -> None:
    row = connection.execute(
        sa.text('SELECT job_id, name, "user", message FROM jobs WHERE id = :job'), {"job": job}
    ).one()
    tags = connection.execute(sa.text("SELECT key, value FROM tags WHERE job = :job"), {"job": job})
    texts = connection.execute(
        sa.text("SELECT text FROM params WHERE job = :job AND text IS NOT NULL ORDER BY key"),
        {"job": job},
    )
    words = shlex.join([*(spec.get("entrypoint") or ["python"]), *spec["command"]])
    parts = [row.job_id, row.name, row.user, words, row.message, None]
    parts += [f"{key}={value}" if value else key for key, value in tags]
    parts += texts.scalars()
    connection.execute(
        sa.text("INSERT INTO job_texts (job, command, text) VALUES (:job, :command, :text)"),
        {
            "job": job,
            "command": words,
            "text": "\n".join(part for part in parts if part).casefold(),
        },
    )


def _fill_rollups(connection: sa.Connection, job: int, key: int) -> None:
    query = "SELECT * FROM metrics WHERE job = :job AND key = :key ORDER BY seq"
    points = connection.execute(sa.text(query), {"job": job, "key": key}).all()
    level, size = 0, _BASE
    while len(points) >= size:
        for stretch in range(len(points) // size):
            row = _rollup(points[stretch * size : (stretch + 1) * size])
            row |= {"job": job, "key": key, "level": level, "stretch": stretch}
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(
                sa.text(f"INSERT INTO metric_rollups ({names}) VALUES ({values})"),  # noqa: S608
                row,
            )
        level, size = level + 1, size * _FACTOR


def _rollup(points: Any) -> dict[str, Any]:
    numbers = [point for point in points if point.number is not None]
    steps = [point.step for point in points if point.step is not None]
    marks = [point for point in points if point.number is None]
    low = min(numbers, key=lambda point: point.number, default=None)
    high = max(numbers, key=lambda point: point.number, default=None)
    row: dict[str, Any] = {
        "step_from": min(steps, default=None),
        "step_to": max(steps, default=None),
        "time_from": min(point.time for point in points),
        "time_to": max(point.time for point in points),
        "marks": len(marks),
        "low": low.number if low else None,
        "high": high.number if high else None,
        "mark_text": marks[0].text if marks else None,
    }
    for name, point in (("low", low), ("high", high), ("mark", marks[0] if marks else None)):
        for part in ("seq", "time", "step"):
            row[f"{name}_{part}"] = getattr(point, part) if point else None
    return row


def _fill_columns(connection: sa.Connection) -> None:
    found: Counter[tuple[int, str, str]] = Counter()
    numbers: Counter[tuple[int, str, str]] = Counter()
    texts: Counter[tuple[int, str, str]] = Counter()
    for kind, query in (
        ("param", "SELECT project_id, key AS name, number, text FROM params"),
        ("tag", "SELECT project_id, key AS name, NULL AS number, value AS text FROM tags"),
        (
            "metric",
            """SELECT project_id, metric_keys.name, lowest AS number, NULL AS text
            FROM latest_metrics JOIN metric_keys ON metric_keys.id = latest_metrics.key""",
        ),
    ):
        for row in connection.execute(sa.text(f"{query} JOIN jobs ON jobs.id = job")):
            place = (row.project_id, kind, row.name)
            found[place] += 1
            numbers[place] += row.number is not None
            texts[place] += row.text is not None
    for place, count in found.items():
        connection.execute(
            sa.text("INSERT INTO project_columns VALUES (:project, :kind, :name, :jobs, :n, :t)"),
            {
                **dict(zip(("project", "kind", "name"), place, strict=True)),
                "jobs": count,
                "n": numbers[place],
                "t": texts[place],
            },
        )
