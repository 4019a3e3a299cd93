"""The tables of people: accounts, what shows that somebody is one of them, what they did."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text

from atlas_server.store.tables import Id, metadata

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    # Argon2; None: this account is used through tokens alone.
    Column("password", Text),
    Column("created_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

# Sessions of browsers, logins of the command line, personal tokens. Only a digest is kept: whoever
# reads the database cannot act as anybody.
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    # Seconds that it lives on from each use; None: until expires_at, whatever happens.
    Column("idle", Float),
    Column("used_at", Float),
    Column("address", String),
    Index(None, "user"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("time", Float, nullable=False),
    Column("user", String, nullable=False),
    Column("through", String, nullable=False),
    Column("address", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    # The status that was answered.
    Column("outcome", Integer, nullable=False),
    Index(None, "user", "id"),
    sqlite_autoincrement=True,
)

# What is tried is told by a digest alone: a password may stand where a name should.
login_failures = Table(
    "login_failures",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last", Float, nullable=False),
    Index(None, "last"),
)
