"""How requests look from outside: under which path, from whom and how they reached a proxy."""

from __future__ import annotations

import logging
import re
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

PREFIX = "atlas.prefix"
"""The key of a request's scope that has the path below which the outside sees this server."""
_UNIX = "unix"
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class Outside:
    """ASGI middleware that undoes what proxies do to requests; the outermost one.

    `root_path` is the prefix below which the server is seen. `trusted` are networks, or `unix` for
    whoever comes by a socket file: only their X-Forwarded-For, -Proto and -Prefix count.
    """

    def __init__(self, app: ASGIApp, root_path: str, trusted: tuple[str, ...]) -> None:
        self._app = app
        self._root_path = root_path
        self._unix = _UNIX in trusted
        self._has_told = False
        self._networks = [ip_network(item, strict=False) for item in trusted if item != _UNIX]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as its sender meant it."""
        if scope["type"] == "http":
            scope = self._undone(scope)
        await self._app(scope, receive, send)

    def _undone(self, scope: Scope) -> Scope:
        undone = dict(scope)
        prefix = self._root_path
        if self._is_trusted(_address(scope)):
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            sender = self._sender(headers.get(b"x-forwarded-for", ""))
            if sender:
                undone["client"] = (sender, 0)
            if headers.get(b"x-forwarded-proto") in ("http", "https"):
                undone["scheme"] = headers[b"x-forwarded-proto"]
            told = headers.get(b"x-forwarded-prefix", "").rstrip("/")
            prefix = told if _PATH.fullmatch(told) else prefix
        elif not self._has_told and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._has_told = True
            log.warning(
                "A request came through %s, which is no proxy of trusted_proxies: all that come"
                " from there count as one client, also where passwords are guessed. If it is"
                " yours, name it: docs/remote.md", _address(scope) or "a socket file",
            )  # fmt: skip
        undone[PREFIX] = prefix
        # Proxies take the prefix away, or leave it.
        if prefix and scope["path"].startswith(prefix + "/"):
            undone["path"] = scope["path"][len(prefix) :]
            undone["raw_path"] = scope["raw_path"][len(prefix) :]
        elif prefix and scope["path"] == prefix:
            undone["path"], undone["raw_path"] = "/", b"/"
        return undone

    def _is_trusted(self, address: str) -> bool:
        if not address:
            return self._unix
        try:
            number: Any = ip_address(address)
        except ValueError:
            return False
        number = getattr(number, "ipv4_mapped", None) or number
        return any(number in network for network in self._networks)

    def _sender(self, chain: str) -> str:
        """The last one whom no proxy of ours has named: whoever came before can be made up."""
        senders = [item.strip() for item in chain.split(",") if item.strip()]
        while len(senders) > 1 and self._is_trusted(senders[-1]):
            senders.pop()
        return senders[-1] if senders else ""


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
