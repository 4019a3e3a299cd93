"""The tables of the newest schema. Migrations make them; a test keeps both the same."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from atlas_server.store.column_types import Id, Json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

projects = Table(
    "projects",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("archived_at", Float),
    Column("description", Text),
    # The metric that is shown first, and metrics whose best value is not what their name suggests.
    Column("metric", String),
    Column("goals", Json),
)

project_notes = Table(
    "project_notes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", Id, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("author", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("edited_at", Float),
    Index(None, "project_id"),
    sqlite_autoincrement=True,
)

# Which parameters, metrics and tags the jobs of a project have (`kind` is the language's word),
# counted as they come and go: counting them anew takes seconds where there are very many.
project_columns = Table(
    "project_columns",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("name", String, primary_key=True),
    Column("jobs", Integer, nullable=False),
    Column("numbers", Integer, nullable=False),
    Column("texts", Integer, nullable=False),
    sqlite_with_rowid=False,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", String(36), nullable=False, unique=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("name", String),
    Column("user", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("message", Text),
    Column("exit_code", Integer),
    Column("priority", Integer, nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", BigInteger),
    Column("gpus", Float, nullable=False),
    Column("timeout", Float),
    Column("retries", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("submitted_at", Float, nullable=False),
    Column("queued_at", Float, nullable=False),
    Column("not_before", Float),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("bundle", String(64), nullable=False),
    Column("outputs", String(64)),
    Column("spec", Json, nullable=False),
    # Values of environment variables that look secret: for the worker alone, never shown.
    Column("secrets", Json),
    Column("environment", Json),
    Column("usage", Json),
    Column("kind", String(16), nullable=False, server_default="scheduled"),
    Column("notes", Text),
    # Where in the queue it was put by hand, see `store.turns`; None: by its key.
    Column("place", BigInteger),
    # On which nodes it may run, as `domain.wishes` writes it; None: on all.
    Column("wish", String),
    # The search, or the program that submitted it with others: what it is seen and stopped with.
    Column("search", String),
    Index(None, "state", "id"),
    Index(None, "search", "state"),
    # Everything that tables of jobs are filtered and sorted by: the rows themselves are wide, and
    # reading 100,000 of them takes longer than anybody waits for a table.
    Index(
        "ix_jobs_listing",
        "project_id",
        "id",
        "state",
        "user",
        "name",
        "reason",
        "priority",
        "cpus",
        "memory",
        "gpus",
        "exit_code",
        "attempts",
        "submitted_at",
        "queued_at",
        "started_at",
        "finished_at",
        "kind",
        "search",
        "job_id",
    ),
    Index(None, "bundle"),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("token", String, nullable=False),
    Column("executor", String, nullable=False),
    Column("allocation", Json, nullable=False),
    Column("handle", String),
    Column("lease_until", Float, nullable=False),
    Column("recoveries", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("exit_code", Integer),
    Column("reason", String(32)),
    Column("message", Text),
    Column("usage", Json),
    Column("late_result", Json),
    Column("error", Json),
    UniqueConstraint("job", "number"),
    Index(None, "token"),
    # Runners name their attempt by its number: it must never be given out again.
    sqlite_autoincrement=True,
)

# What changed, in order: the scheduler and the live feed read from here.
events = Table(
    "events",
    metadata,
    Column("seq", Id, primary_key=True),
    Column("time", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("job_id", String(36)),
    Column("payload", Json, nullable=False),
    Index(None, "job_id", "seq"),
    sqlite_autoincrement=True,
)

# What people look for in a job: `text` is all of it in one, case-folded.
job_texts = Table(
    "job_texts",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("command", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# Beside each value what SQL can order: finite numbers in `number`; texts, truth values and numbers
# that are not finite in `text`; lists and null in neither.
params = Table(
    "params",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Json),
    Column("number", Float),
    Column("text", Text),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

metric_keys = Table(
    "metric_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String, nullable=False, unique=True),
)

# `number` holds finite numbers; anything else (text, NaN, infinities) stands in `text`.
metrics = Table(
    "metrics",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Id, ForeignKey("metric_keys.id"), primary_key=True),
    Column("seq", Id, primary_key=True),
    Column("time", Float, nullable=False),
    Column("step", Float),
    Column("number", Float),
    Column("text", Text),
    # Of the process that logged it, in a distributed training.
    Column("rank", Integer),
    sqlite_with_rowid=False,
)

# The lowest and the highest point of each stretch of a curve, so that a long one is drawn without
# reading all of it. Stretches of `level` n are of 32 * 4**n points; `marks` counts what is no
# finite number, of which the first is described.
metric_rollups = Table(
    "metric_rollups",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Id, ForeignKey("metric_keys.id"), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("stretch", Integer, primary_key=True),
    Column("step_from", Float),
    Column("step_to", Float),
    Column("time_from", Float, nullable=False),
    Column("time_to", Float, nullable=False),
    Column("low_seq", Id),
    Column("low_time", Float),
    Column("low_step", Float),
    Column("low", Float),
    Column("high_seq", Id),
    Column("high_time", Float),
    Column("high_step", Float),
    Column("high", Float),
    Column("marks", Integer, nullable=False),
    Column("mark_seq", Id),
    Column("mark_time", Float),
    Column("mark_step", Float),
    Column("mark_text", Text),
    sqlite_with_rowid=False,
)

# The newest point of each metric, so that lists of jobs need not read the curves; and the lowest
# and highest number that there was.
latest_metrics = Table(
    "latest_metrics",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Id, ForeignKey("metric_keys.id"), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("time", Float, nullable=False),
    Column("step", Float),
    Column("number", Float),
    Column("text", Text),
    Column("lowest", Float),
    Column("highest", Float),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("filename", String, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("folder", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("step", Float),
    UniqueConstraint("job", "key", "version"),
)

# How far each journal has been taken in: lines up to `position` are in the tables above.
journal_positions = Table(
    "journal_positions",
    metadata,
    Column("attempt", Id, ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True),
    Column("writer", String, primary_key=True),
    Column("position", Id, nullable=False),
    sqlite_with_rowid=False,
)

# Which of several server processes schedules: one row. `until` is by the database's clock; each
# one that takes over has the next `epoch`. `nodes` and `usage` are what it can place jobs on.
scheduler_lease = Table(
    "scheduler_lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", String, nullable=False),
    Column("machine", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Float, nullable=False),
    Column("nodes", Json),
    Column("usage", Json),
)
