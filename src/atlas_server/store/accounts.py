"""Rows of users and of what shows that somebody is one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from atlas_server.domain.rights import Role, Scope
from atlas_server.store.account_tables import access_tokens, users


@dataclass(frozen=True, slots=True)
class UserRecord:
    """An account; `password` is an Argon2 hash, None where there is none."""

    id: int
    name: str
    role: Role
    password: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What shows who somebody is, with the name and role of that user. Times in seconds."""

    id: int
    user: int
    kind: str
    name: str
    scope: Scope
    created_at: float
    expires_at: float | None
    idle: float | None
    used_at: float | None
    address: str | None
    user_name: str
    role: Role


def add_user(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a row of `users`."""
    connection.execute(insert(users), values)


def find_user(connection: Connection, name: str) -> UserRecord | None:
    """Return the account with exactly this name."""
    row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
    return _user(row) if row else None


def user_like(connection: Connection, name: str) -> str | None:
    """Return the name of an account that differs from `name` in small and capital letters only."""
    query = select(users.c.name).where(func.lower(users.c.name) == name.lower())
    return connection.execute(query).scalar()


def all_users(connection: Connection) -> list[UserRecord]:
    """Return every account, by name."""
    rows = connection.execute(select(users).order_by(users.c.name)).mappings()
    return [_user(row) for row in rows]


def admins(connection: Connection) -> int:
    """Return how many admins there are."""
    query = select(func.count()).select_from(users).where(users.c.role == Role.ADMIN.value)
    return connection.execute(query).scalar_one()


def change_user(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Change columns of one account."""
    connection.execute(update(users).where(users.c.id == key).values(**values))


def remove_user(connection: Connection, key: int) -> None:
    """Delete an account with everything that shows somebody to be it."""
    connection.execute(delete(users).where(users.c.id == key))


def add_token(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a row of `access_tokens` and return its key."""
    key = connection.execute(insert(access_tokens), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def token_by_digest(connection: Connection, digest: str) -> TokenRecord | None:
    """Return the token of which this is the digest."""
    row = connection.execute(_BY_DIGEST, {"wanted": digest}).mappings().first()
    return _token(row) if row else None


def token_by_key(connection: Connection, key: int) -> TokenRecord | None:
    """Return the token with this row key."""
    row = connection.execute(_TOKENS.where(access_tokens.c.id == key)).mappings().first()
    return _token(row) if row else None


def tokens_of(connection: Connection, user: int | None = None) -> list[TokenRecord]:
    """Return the tokens of a user, or all, the newest first."""
    query = _TOKENS.order_by(access_tokens.c.id.desc())
    if user is not None:
        query = query.where(access_tokens.c.user == user)
    return [_token(row) for row in connection.execute(query).mappings()]


def used(connection: Connection, key: int, values: dict[str, Any]) -> None:
    """Note when, and from where, a token was used."""
    connection.execute(update(access_tokens).where(access_tokens.c.id == key).values(**values))


def remove_token(connection: Connection, key: int) -> None:
    """Delete one token."""
    connection.execute(delete(access_tokens).where(access_tokens.c.id == key))


def remove_tokens(
    connection: Connection, user: int, kinds: Sequence[str], keep: int | None = None
) -> None:
    """Delete a user's tokens of these kinds, but for the one with row key `keep`."""
    query = delete(access_tokens).where(
        access_tokens.c.user == user, access_tokens.c.kind.in_(kinds)
    )
    if keep is not None:
        query = query.where(access_tokens.c.id != keep)
    connection.execute(query)


def remove_expired(connection: Connection, before: float) -> None:
    """Delete the tokens that have expired before a time."""
    connection.execute(delete(access_tokens).where(access_tokens.c.expires_at < before))


def knows_address(connection: Connection, user: str, address: str) -> bool:
    """Whether somebody who is this user was seen at an address."""
    query = select(access_tokens.c.id).join_from(
        access_tokens, users, access_tokens.c.user == users.c.id
    )
    query = query.where(users.c.name == user, access_tokens.c.address == address).limit(1)
    return connection.execute(query).first() is not None


def _user(row: Any) -> UserRecord:
    return UserRecord(**{**row, "role": Role(row["role"])})


def _token(row: Any) -> TokenRecord:
    return TokenRecord(**{**row, "role": Role(row["role"]), "scope": Scope(row["scope"])})


# Built once: composing a statement costs several times as much as executing it.
_TOKENS = select(
    *(column for column in access_tokens.c if column.name != "digest"),
    users.c.name.label("user_name"),
    users.c.role,
).join_from(access_tokens, users, access_tokens.c.user == users.c.id)
_BY_DIGEST = _TOKENS.where(access_tokens.c.digest == bindparam("wanted"))
