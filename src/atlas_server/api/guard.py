"""Keeps web pages and clients of another version away from the API."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from atlas_server.api.errors import error_response
from foundations.contract.version import API_VERSION, VERSION_HEADER
from foundations.errors import Refused, ServerError, VersionMismatch

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware.

    A page of another site can make a browser send requests to this machine. Its requests carry
    an `Origin` that is not ours, or, after DNS rebinding, a `Host` that is not a loopback name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "http":
            refusal = _refusal(scope)
            if refusal is not None:
                await error_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(scope: Scope) -> ServerError | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    if _without_port(host) not in _LOOPBACK_NAMES:
        return Refused(f"This server does not answer to the name '{host}'.")
    origin = headers.get(b"origin")
    if origin is not None and scope["method"] not in _SAFE_METHODS:
        name = _without_port(origin.partition("://")[2])
        if name not in _LOOPBACK_NAMES:
            return Refused(f"A page of '{origin}' may not use this server.")
    spoken = headers.get(VERSION_HEADER.lower().encode())
    if spoken is not None and spoken != API_VERSION and scope["path"] != "/api/v1/health":
        return VersionMismatch(
            f"This server speaks version {API_VERSION} of the API, the client version {spoken}.",
            "Install the same foundations-atlas on both sides.",
        )
    return None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
