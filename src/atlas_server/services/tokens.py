"""Sessions, logins and personal tokens: made, listed, ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.ports import Clock
from atlas_server.domain.rights import Scope
from atlas_server.services import passwords
from atlas_server.services.attempts_at_login import LoginAttempts
from atlas_server.services.specs import check_text
from atlas_server.store import accounts
from atlas_server.store.accounts import TokenRecord, UserRecord
from atlas_server.store.engine import Store
from foundations.contract.tokens import LOGIN, PERSONAL, SESSION
from foundations.errors import InvalidRequest, NotFound, TooManyAttempts, Unauthenticated

# The kinds of rows: what a browser, the command line and a program of the user's own show.
KINDS = {"session": SESSION, "login": LOGIN, "personal": PERSONAL}
_LONGEST_NAME = 100
_DAY = 86400.0
# Of those that have expired the list tells for a while.
_KEPT_EXPIRED = 30 * _DAY
_WRONG = "The user name or the password is wrong."


@dataclass(frozen=True, slots=True)
class Issued:
    """A secret, which is shown once, and what is kept of it."""

    secret: str
    token: TokenRecord


class Tokens:
    """Use cases of whatever shows that somebody is a user.

    `idle` is for how many seconds without use a session or login lives; `changed` is called when
    something may have ended.
    """

    def __init__(
        self, store: Store, clock: Clock, idle: float, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._idle = idle
        self._changed = changed
        self._attempts = LoginAttempts(store)

    def sign_in(self, kind: str, user: str, password: str, address: str, name: str) -> Issued:
        """Return a session or login for whoever knows a user's password.

        Raises Unauthenticated, or TooManyAttempts where somebody seems to guess.
        """
        self._wait_for_turn(user, address)
        with self._store.read() as connection:
            found = accounts.find_user(connection, user)
        kept = found.password if found else None
        # Not in a transaction: it takes its time.
        if not passwords.is_right(kept, password) or found is None or kept is None:
            raise Unauthenticated(
                _WRONG, "An admin can set a new one: atlas-server user passwd NAME"
            )
        self._attempts.succeeded(user, address)
        better = passwords.hashed(password) if passwords.is_outdated(kept) else None
        with self._store.write() as connection:
            if better is not None:
                accounts.change_user(connection, found.id, {"password": better})
            accounts.remove_expired(connection, self._clock.now() - _KEPT_EXPIRED)
            expires = self._clock.now() + self._idle
            more = {"idle": self._idle, "used_at": self._clock.now(), "address": address}
            return self._issue(connection, found, kind, name, Scope.ALL, expires, more)

    def check_password(self, user: str, password: str, address: str) -> None:
        """Raise Unauthenticated where a password is not the user's, as `sign_in` does."""
        self._wait_for_turn(user, address)
        with self._store.read() as connection:
            found = accounts.find_user(connection, user)
        if not passwords.is_right(found.password if found else None, password):
            raise Unauthenticated("The present password is wrong.")
        self._attempts.succeeded(user, address)

    def _wait_for_turn(self, user: str, address: str) -> None:
        wait = self._attempts.begin(user, address, self._clock.now())
        if wait > 0:
            seconds = int(wait) + 1
            raise TooManyAttempts(
                f"Too many wrong passwords: try again in {seconds} seconds.",
                "A token still works meanwhile.",
                {"wait": seconds},
            )

    def create(
        self, user: str, name: str, scope: Scope = Scope.ALL, lifetime: float | None = None
    ) -> Issued:
        """Return a new personal token; `lifetime` in seconds, None: until it is revoked.

        Raises InvalidRequest or NotFound.
        """
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidRequest(
                f"A token needs a name of {_LONGEST_NAME} printable characters at most."
            )
        check_text("name", name)
        if lifetime is not None and not 0 < lifetime <= 100 * 365 * _DAY:
            raise InvalidRequest(
                "A token lives for more than 0 seconds, and for 100 years at most."
            )
        now = self._clock.now()
        expires = None if lifetime is None else now + lifetime
        with self._store.write(durable=True) as connection:
            owner = accounts.find_user(connection, user)
            if owner is None:
                raise NotFound(f"There is no user '{user}'.")
            theirs = accounts.tokens_of(connection, owner.id)
            if any(
                one.kind == "personal" and one.name == name and _lives(one, now) for one in theirs
            ):
                raise InvalidRequest(
                    f"There is a token '{name}' already.",
                    f"Choose another name, or revoke that one: foundations token revoke {name}",
                )
            return self._issue(connection, owner, "personal", name, scope, expires, {})

    def of_user(self, user: str) -> list[TokenRecord]:
        """Return a user's tokens and sessions, the newest first."""
        with self._store.read() as connection:
            owner = accounts.find_user(connection, user)
            return accounts.tokens_of(connection, owner.id) if owner else []

    def find(self, key: int) -> TokenRecord:
        """Return one token. Raises NotFound."""
        with self._store.read() as connection:
            found = accounts.token_by_key(connection, key)
        if found is None:
            raise NotFound(f"There is no token {key}.", "See yours: foundations token list")
        return found

    def revoke(self, key: int) -> None:
        """End a token, at once."""
        with self._store.write(durable=True) as connection:
            accounts.remove_token(connection, key)
        self._changed()

    def end_logins(
        self, user: str, kinds: Sequence[str] = ("session", "login"), keep: int | None = None
    ) -> None:
        """End all sessions and logins of a user, but for the one with row key `keep`."""
        with self._store.write(durable=True) as connection:
            owner = accounts.find_user(connection, user)
            if owner is not None:
                accounts.remove_tokens(connection, owner.id, kinds, keep)
        self._changed()

    def _issue(
        self,
        connection: Connection,
        user: UserRecord,
        kind: str,
        name: str,
        scope: Scope,
        expires_at: float | None,
        more: dict[str, Any],
    ) -> Issued:
        secret = KINDS[kind] + self._clock.new_token() + self._clock.new_token()
        values = {
            "user": user.id,
            "kind": kind,
            "name": name[:_LONGEST_NAME],
            "digest": digest(secret),
            "scope": scope.value,
            "created_at": self._clock.now(),
            "expires_at": expires_at,
            **more,
        }
        key = accounts.add_token(connection, values)
        kept = accounts.token_by_key(connection, key)
        assert kept is not None
        return Issued(secret, kept)


def digest(secret: str) -> str:
    """Return what is kept of a secret that was made here.

    It is long and random: no dictionary has it, so a fast hash is as safe as a slow one.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def told(token: TokenRecord, current: int | None) -> dict[str, Any]:
    """Return a token as JSON; `current` is the key of the one that asks."""
    return {
        "id": token.id,
        "kind": token.kind,
        "name": token.name,
        "scope": token.scope.value,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
        "address": token.address,
        "current": token.id == current,
    }


def _lives(token: TokenRecord, now: float) -> bool:
    return token.expires_at is None or token.expires_at > now
