"""Gives every request an ID for the log, and measures how long its answer takes to begin."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atlas_server.log_format import request_id

_HEADER = "X-Request-Id"
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
Answered = Callable[[str, str, int, float], None]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Timed:
    """ASGI middleware. `answered` gets method, pattern of the path, status and seconds."""

    def __init__(self, app: ASGIApp, answered: Answered) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = _given(scope) or secrets.token_hex(8)
        began = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[_HEADER] = named
                taken = time.perf_counter() - began
                self._answered(_method(scope), _route(scope), message["status"], taken)
            await send(message)

        token = request_id.set(named)
        try:
            await self._app(scope, receive, sending)
        finally:
            request_id.reset(token)


def _given(scope: Scope) -> str:
    """The ID that a proxy has given the request, where it is one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE.fullmatch(value):
            return str(value.decode())
    return ""


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    # Whether the prefix is part of it depends on the version of FastAPI.
    return str(getattr(route, "path", "none")).removeprefix("/api/v1")
