"""Users: added, changed, removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.ports import Clock
from atlas_server.domain.rights import Role
from atlas_server.services import passwords
from atlas_server.store import accounts
from atlas_server.store.accounts import UserRecord
from atlas_server.store.engine import Store
from foundations.errors import InvalidRequest, NotFound, Refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class Accounts:
    """Use cases over users; `changed` is called when what somebody may has changed."""

    def __init__(
        self, store: Store, clock: Clock, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed

    def is_empty(self) -> bool:
        """Whether there are no users."""
        return not self.listing()

    def listing(self) -> list[UserRecord]:
        """Return every user, by name."""
        with self._store.read() as connection:
            return accounts.all_users(connection)

    def find(self, name: str) -> UserRecord:
        """Return one user. Raises NotFound."""
        with self._store.read() as connection:
            return _found(connection, name)

    def add(self, name: str, role: Role, password: str | None) -> UserRecord:
        """Add a user; without a password one that has tokens alone.

        Raises InvalidRequest for a name or password that cannot be, Refused for one that is there.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} cannot be a user's name.",
                "Take letters, digits and . _ @ + - (64 at most), a letter or digit first.",
            )
        kept = self._kept(name, password)
        with self._store.write(durable=True) as connection:
            known = accounts.user_like(connection, name)
            if known is not None:
                raise Refused(
                    f"There is a user '{known}' already.",
                    f"To give a new password: atlas-server user passwd {known}",
                )
            now = self._clock.now()
            values = {"name": name, "role": role.value, "password": kept, "created_at": now}
            accounts.add_user(connection, values)
            return _found(connection, name)

    def set_password(self, name: str, password: str, keep: int | None = None) -> None:
        """Give a user a new password; sessions and logins end, but for the one with key `keep`."""
        kept = self._kept(name, password)
        with self._store.write(durable=True) as connection:
            user = _found(connection, name)
            accounts.change_user(connection, user.id, {"password": kept})
            accounts.remove_tokens(connection, user.id, ("session", "login"), keep)
        self._changed()

    def set_role(self, name: str, role: Role) -> UserRecord:
        """Make a user something else. Raises Refused where no admin would be left."""
        with self._store.write(durable=True) as connection:
            user = _found(connection, name)
            if role is not Role.ADMIN:
                _keep_an_admin(connection, user)
            accounts.change_user(connection, user.id, {"role": role.value})
            changed = _found(connection, name)
        self._changed()
        return changed

    def remove(self, name: str) -> None:
        """Remove a user with all sessions and tokens; their jobs stay.

        Raises Refused where no admin would be left.
        """
        with self._store.write(durable=True) as connection:
            user = _found(connection, name)
            if len(accounts.all_users(connection)) > 1:
                _keep_an_admin(connection, user)
            accounts.remove_user(connection, user.id)
        self._changed()

    def _kept(self, name: str, password: str | None) -> str | None:
        if password is None:
            return None
        passwords.check_new(password, name)
        return passwords.hashed(password)


def check_somebody(accounts: Accounts, host: str) -> None:
    """Raise Refused where a server that asks who is there knows nobody who could answer."""
    if accounts.is_empty():
        raise Refused(
            f"This server would ask who is there (it listens on {host}), and has no users yet.",
            "Add the first one, an admin: atlas-server user add NAME --role admin",
        )


def shown(user: UserRecord, **more: Any) -> dict[str, Any]:
    """Return a user as JSON."""
    return {
        "name": user.name,
        "role": user.role.value,
        "created_at": user.created_at,
        "has_password": user.password is not None,
        **more,
    }


def _found(connection: Connection, name: str) -> UserRecord:
    user = accounts.find_user(connection, name)
    if user is None:
        raise NotFound(f"There is no user '{name}'.", "See them: atlas-server user list")
    return user


def _keep_an_admin(connection: Connection, user: UserRecord) -> None:
    if user.role is Role.ADMIN and accounts.admins(connection) == 1:
        raise Refused(f"'{user.name}' is the only admin.", "Make another user an admin first.")
