"""Endpoints of people: logging in and out, users, tokens, the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from atlas_server.api.gate import Gate, address_of
from atlas_server.api.rights import Router, Targets, Who, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.accounts import (
    AuditPage,
    LoggedIn,
    SignedIn,
    TokenList,
    TokenMade,
    User,
    Users,
)
from atlas_server.domain.deeds import AuditFilter
from atlas_server.domain.rights import Kind, Principal, Right, Role, Scope, within
from atlas_server.services.accounts import Accounts, shown
from atlas_server.services.audit import AuditLog
from atlas_server.services.tokens import Issued, Tokens, told
from foundations.errors import Forbidden, NotFound, Refused

_Key = Annotated[int, Path(ge=1, lt=1 << 62)]
_Number = Annotated[int, Query(ge=1, lt=1 << 62)]
_Text = Annotated[str, Field(max_length=1024)]
_YEAR = 400 * 86400


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Login(_Wanted):
    """Who somebody is. A `browser` gets a cookie instead of a token; `name` says what logs in."""

    user: _Text
    password: _Text
    browser: bool = False
    name: Annotated[str, Field(max_length=200)] = ""


class Leaving(_Wanted):
    """`everywhere`: all sessions and logins end, not only this one."""

    everywhere: bool = False


class PasswordChange(_Wanted):
    """The present password and the new one."""

    old: _Text
    new: _Text


class TokenWanted(_Wanted):
    """A personal token; `lifetime` in seconds, null: until it is revoked."""

    name: _Text
    scope: Scope = Scope.ALL
    lifetime: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None


class UserWanted(_Wanted):
    """A user; without a password one that has tokens alone."""

    name: _Text
    role: Role = Role.MEMBER
    password: _Text | None = None


class UserChange(_Wanted):
    """What to change of a user; what is not there stays."""

    role: Role | None = None
    password: _Text | None = None


class AccountRoutes:
    """The endpoints, and what they work with; `ports` are those that the server listens on."""

    def __init__(
        self, accounts: Accounts, tokens: Tokens, audit: AuditLog, gate: Gate, ports: Any
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._audit = audit
        self._gate = gate
        self._ports = ports

    def router(self) -> Router:
        """Return the endpoints."""
        router = Router(tags=["accounts"])
        add = router.add_api_route
        add("/auth/me", self.me, methods=["GET"], **answers(SignedIn))
        add("/auth/login", self.login, methods=["POST"], **answers(LoggedIn))
        add("/auth/logout", self.logout, methods=["POST"], status_code=204)
        add("/auth/password", self.change_password, methods=["POST"], status_code=204)
        add("/tokens", self.tokens, methods=["GET"], **answers(TokenList))
        add("/tokens", self.create_token, methods=["POST"], status_code=201, **answers(TokenMade))
        add("/tokens/{token}", self.revoke_token, methods=["DELETE"], status_code=204)
        add("/users", self.users, methods=["GET"], **answers(Users))
        add("/users", self.add_user, methods=["POST"], status_code=201, **answers(User))
        add("/users/{user}", self.change_user, methods=["PATCH"], **answers(User))
        add("/users/{user}", self.remove_user, methods=["DELETE"], status_code=204)
        add("/audit", self.audit, methods=["GET"], **answers(AuditPage))
        return router

    @needs(Right.PUBLIC)
    def me(self, who: Who) -> Response:
        """Tell who asks, and whether that matters here."""
        enabled = self._gate.identification.enabled
        user = _me(who) if enabled and who.kind in (Kind.USER, Kind.JOB) else None
        return JSONResponse({"authentication": enabled, "user": user})

    @needs(Right.PUBLIC)
    def login(self, wanted: Login, who: Who, request: Request) -> Response:
        """Log in with a password; answers a token, or sets a cookie for a browser."""
        self._check_enabled()
        request.state.entry.user = wanted.user
        kind = "session" if wanted.browser else "login"
        agent = wanted.name or request.headers.get("user-agent", "")
        issued = self._tokens.sign_in(
            kind, wanted.user, wanted.password, address_of(request), agent
        )
        if who.session and who.token is not None:
            self._tokens.revoke(who.token)  # the browser's cookie is replaced
        user = _me_of(issued)
        secret = None if wanted.browser else issued.secret
        answer = JSONResponse({"user": user, "token": secret, "ports": self._ports()})
        if wanted.browser:
            self._set_cookie(request, answer, issued.secret)
        return answer

    @needs(Right.ACCOUNT)
    def logout(self, who: Who, request: Request, wanted: Leaving | None = None) -> Response:
        """End this session or login, or all that the user has."""
        self._check_enabled()
        if wanted is not None and wanted.everywhere:
            self._check_whole(who)
            self._tokens.end_logins(who.name)
        elif who.token is not None:
            self._tokens.revoke(who.token)
        answer = Response(status_code=204)
        answer.delete_cookie(self._gate.cookie, path=_cookie_path(request))
        return answer

    @needs(Right.ACCOUNT)
    def change_password(self, who: Who, wanted: PasswordChange, request: Request) -> Response:
        """Give oneself another password: all other sessions and logins end."""
        self._check_enabled()
        self._check_whole(who)
        self._tokens.check_password(who.name, wanted.old, address_of(request))
        self._accounts.set_password(who.name, wanted.new, keep=None if who.session else who.token)
        answer = Response(status_code=204)
        if who.session:
            agent = request.headers.get("user-agent", "")
            issued = self._tokens.sign_in(
                "session", who.name, wanted.new, address_of(request), agent
            )
            self._set_cookie(request, answer, issued.secret)
        return answer

    @needs(Right.ACCOUNT)
    def tokens(self, who: Who, user: str | None = None) -> Response:
        """Return one's tokens, logins and sessions; an admin may ask for another user's."""
        self._check_enabled()
        if user is not None and user != who.name and not who.rules:
            raise Forbidden("The tokens of others are for admins to see.")
        found = self._tokens.of_user(user or who.name)
        return JSONResponse({"tokens": [told(one, who.token) for one in found]})

    @needs(Right.ACCOUNT)
    def create_token(self, who: Who, wanted: TokenWanted, targets: Targets) -> Response:
        """Make a personal token; its secret is told only now."""
        self._check_enabled()
        self._check_whole(who)
        targets.append(wanted.name)
        issued = self._tokens.create(who.name, wanted.name, wanted.scope, wanted.lifetime)
        return JSONResponse({"secret": issued.secret, "token": told(issued.token, who.token)}, 201)

    @needs(Right.ACCOUNT)
    def revoke_token(self, who: Who, token: _Key, targets: Targets) -> None:
        """End a token, login or session: one's own; an admin may end everybody's."""
        self._check_enabled()
        found = self._tokens.find(token)
        if found.user_name != who.name and not who.rules:
            raise NotFound(f"You have no token {token}.", "See yours: foundations token list")
        if found.id != who.token:
            self._check_whole(who)
        targets.append(found.name)
        self._tokens.revoke(token)

    @needs(Right.ADMIN)
    def users(self) -> Response:
        """Return every user."""
        return JSONResponse({"users": [shown(user) for user in self._accounts.listing()]})

    @needs(Right.ADMIN)
    def add_user(self, wanted: UserWanted, targets: Targets) -> Response:
        """Add a user."""
        targets.append(f"{wanted.name} {wanted.role.value}")
        user = self._accounts.add(wanted.name, wanted.role, wanted.password)
        return JSONResponse(shown(user), 201)

    @needs(Right.ADMIN)
    def change_user(self, user: str, wanted: UserChange, targets: Targets) -> Response:
        """Make a user something else, or give a new password, which ends all sessions."""
        if wanted.role is not None:
            targets.append(wanted.role.value)
            self._accounts.set_role(user, wanted.role)
        if wanted.password is not None:
            targets.append("password")
            self._accounts.set_password(user, wanted.password)
        return JSONResponse(shown(self._accounts.find(user)))

    @needs(Right.ADMIN)
    def remove_user(self, user: str) -> None:
        """Remove a user with all sessions and tokens; what they have made stays."""
        self._accounts.remove(user)

    @needs(Right.ADMIN)
    def audit(
        self,
        user: str | None = None,
        action: str | None = None,
        since: Annotated[float | None, Query(allow_inf_nan=False)] = None,
        before: _Number | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        """Return who did what, the newest first."""
        found = self._audit.entries(AuditFilter(user, action, since, before), limit)
        entries = [{"id": number, **deed.as_dict()} for number, deed in found]
        following = found[-1][0] if len(found) == limit else None
        return JSONResponse({"entries": entries, "next": following})

    def _check_enabled(self) -> None:
        if not self._gate.identification.enabled:
            raise Refused(
                "This server has no authentication: nobody needs to log in.",
                "To change that: authentication: true in its config/server.config.yaml",
            )

    def _check_whole(self, who: Principal) -> None:
        """A token that may not everything may not make others that may more, or lock people out."""
        if who.scope is not Scope.ALL:
            raise Forbidden(
                f"This token may not do that: its scope is '{who.scope.value}'.",
                "Log in: foundations login URL",
            )

    def _set_cookie(self, request: Request, answer: Response, secret: str) -> None:
        answer.set_cookie(
            self._gate.cookie,
            secret,
            max_age=_YEAR,  # the server knows when it ends
            path=_cookie_path(request),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )


def _cookie_path(request: Request) -> str:
    return str(request.scope.get("root_path") or "").rstrip("/") + "/"


def _me(who: Principal) -> dict[str, Any]:
    return {
        "name": who.name,
        "role": who.role.value,
        "scope": who.scope.value,
        "through": who.through,
        "expires_at": who.expires_at,
    }


def _me_of(issued: Issued) -> dict[str, Any]:
    token = issued.token
    return {
        "name": token.user_name,
        "role": within(token.role, token.scope).value,
        "scope": token.scope.value,
        "through": token.kind,
        "expires_at": token.expires_at,
    }
