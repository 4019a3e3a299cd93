"""People as the API shows them: who somebody is, users, tokens, the audit log."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

RoleName = Literal["viewer", "member", "admin"]
ScopeName = Literal["read", "submit", "all"]


class Me(TypedDict):
    """Whoever asks. `through`: session, login, token NAME, or job ID."""

    name: str
    role: RoleName
    scope: ScopeName
    through: str
    expires_at: float | None


class SignedIn(TypedDict):
    """Whether this server asks who somebody is, and who that is; null: nobody has said."""

    authentication: bool
    user: Me | None


class Token(TypedDict):
    """What shows that somebody is a user: a personal token, a login, or a browser's session."""

    id: int
    kind: Literal["personal", "login", "session"]
    name: str
    scope: ScopeName
    created_at: float
    expires_at: float | None
    used_at: float | None
    address: str | None
    current: bool


class TokenList(TypedDict):
    """Tokens, the newest first."""

    tokens: list[Token]


class TokenMade(TypedDict):
    """A new token with its secret, which is told only once."""

    secret: str
    token: Token


class LoggedIn(TypedDict):
    """A login: the secret goes into the header of requests; null where a cookie has it.

    `ports` are those that this server listens on.
    """

    user: Me
    token: str | None
    ports: list[int]


class User(TypedDict):
    """An account; one without a password is used through tokens alone."""

    name: str
    role: RoleName
    created_at: float
    has_password: bool


class Users(TypedDict):
    """Every account, by name."""

    users: list[User]


class AuditEntry(TypedDict):
    """One thing that somebody did, or tried: `outcome` is the HTTP status that was answered."""

    id: int
    time: float
    user: str
    through: str
    address: str
    action: str
    target: str
    outcome: int


class AuditPage(TypedDict):
    """Entries, the newest first; `next` is where older ones begin, null where there are none."""

    entries: list[AuditEntry]
    next: int | None
