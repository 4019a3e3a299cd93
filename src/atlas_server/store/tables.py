"""The tables of the newest schema. Migrations make them; a test keeps both the same."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
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

# SQLite counts rows by itself only where the key is INTEGER; PostgreSQL wants 64 bits.
Id = BigInteger().with_variant(Integer, "sqlite")

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
    Column("spec", JSON, nullable=False),
    # Values of environment variables that look secret: for the worker alone, never shown.
    Column("secrets", JSON),
    Column("environment", JSON),
    Column("usage", JSON),
    Column("kind", String(16), nullable=False, server_default="scheduled"),
    Index(None, "state", "id"),
    Index(None, "project_id", "id"),
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
    Column("allocation", JSON, nullable=False),
    Column("handle", String),
    Column("lease_until", Float, nullable=False),
    Column("recoveries", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("exit_code", Integer),
    Column("reason", String(32)),
    Column("message", Text),
    Column("usage", JSON),
    Column("late_result", JSON),
    Column("error", JSON),
    UniqueConstraint("job", "number"),
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
    Column("payload", JSON, nullable=False),
    Index(None, "job_id", "seq"),
    sqlite_autoincrement=True,
)

params = Table(
    "params",
    metadata,
    Column("job", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", JSON),
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

# The newest point of each metric, so that lists of jobs need not read the curves.
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
