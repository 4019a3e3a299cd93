"""The endpoints of accounts and tokens."""

from __future__ import annotations

from foundations.client.calls import Calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Json = Dict[str, Any]


class AccountCalls(Calls):
    """Who somebody is, and what shows it."""

    def me(self) -> Json:
        """Return `{authentication, user}`: whether the server asks who somebody is, and who."""
        return self._get("/auth/me")

    def login(self, user: str, password: str, name: str) -> Json:
        """Return `{user, token, ports}` for whoever knows a user's password."""
        return self._call("POST", "/auth/login", {"user": user, "password": password, "name": name})

    def logout(self, everywhere: bool = False) -> None:
        """End this login, or all sessions and logins of the user."""
        self._call("POST", "/auth/logout", {"everywhere": everywhere})

    def tokens(self) -> List[Json]:
        """Return one's personal tokens, logins and sessions, the newest first."""
        return self._get("/tokens")["tokens"]

    def create_token(self, name: str, scope: str, lifetime: Optional[float]) -> Json:
        """Return `{secret, token}`: a new personal token; `lifetime` in seconds."""
        return self._call("POST", "/tokens", {"name": name, "scope": scope, "lifetime": lifetime})

    def revoke_token(self, key: int) -> None:
        """End a token, login or session."""
        self._call("DELETE", "/tokens/{}".format(key))
