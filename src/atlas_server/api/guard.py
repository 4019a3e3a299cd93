"""Keeps web pages of others and clients of another version away, before anything is looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atlas_server.api.errors import error_response
from foundations.contract.version import API_VERSION, VERSION_HEADER
from foundations.errors import Forbidden, Refused, ServerError, VersionMismatch

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What browsers say of requests that a page of ours, or a person, has caused.
_OWN_SITES = ("same-origin", "none")
_FORWARDED = ("x-forwarded-for", "forwarded")


class Guard:
    """ASGI middleware.

    A page of another site can make a browser send requests to this machine. Its requests carry
    an `Origin` that is not ours, or, after DNS rebinding, a `Host` that is not a loopback name.
    A server that `asks_who` has other names, too: all, or those in `hosts`.
    """

    def __init__(self, app: ASGIApp, asks_who: bool = False, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._asks_who = asks_who
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        app = self._app if refusal is None else error_response(refusal)
        await app(scope, receive, _framed(send))

    def _refusal(self, scope: Scope) -> ServerError | None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if not self._is_ours(_without_port(host)):
            return Refused(
                f"This server does not answer to the name '{host}'.",
                "A server that others reach needs authentication; its setting `hosts` has names.",
            )
        if not self._asks_who and any(name in headers for name in _FORWARDED):
            return Forbidden(
                "This server has no authentication, and something passes requests on to it.",
                "Let it ask who is there: authentication: true in config/server.config.yaml",
            )
        foreign = self._foreign(scope, headers)
        if foreign:
            return Refused(f"A page of '{foreign}' may not use this server.")
        spoken = headers.get(VERSION_HEADER.lower())
        if spoken is not None and spoken != API_VERSION and scope["path"] != "/api/v1/health":
            return VersionMismatch(
                f"This server speaks version {API_VERSION} of the API, the client {spoken}.",
                "Install the same foundations-atlas on both sides.",
            )
        return None

    def _is_ours(self, name: str) -> bool:
        if name in _LOOPBACK_NAMES or name in self._hosts:
            return True
        return self._asks_who and not self._hosts and bool(name)

    def _foreign(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The page of others that has caused a request, as far as the browser tells; ''."""
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site")
        is_safe = scope["method"] in _SAFE_METHODS
        if site is not None and site not in _OWN_SITES:
            # Following a link to us is no harm, nor is it to show one of our pages.
            leads_here = is_safe and headers.get("sec-fetch-mode") == "navigate"
            if not leads_here and (not is_safe or scope["path"].startswith("/api/")):
                return origin or "another site"
        if origin is None or is_safe or site in _OWN_SITES:
            return ""
        ours = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
        theirs = origin.partition("://")[2].lower()
        return "" if theirs and theirs in [_plain(host, origin) for host in ours] else origin


def _plain(host: str, origin: str) -> str:
    """A `Host` as an `Origin` has it: without the port that goes without saying."""
    usual = ":443" if origin.startswith("https://") else ":80"
    return host.lower().removesuffix(usual)


def _framed(send: Send) -> Callable[[Message], Any]:
    """Tell browsers that no page of others may hold ours in a frame."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Frame-Options", "SAMEORIGIN")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        await send(message)

    return sending


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
