"""Answers that are no success: the server's own errors, and those of whoever stands before it."""

from __future__ import annotations

import json

from foundations._version import __version__
from foundations.client.address import proxy_refusal
from foundations.contract.version import SERVER_HEADER, UNKNOWN_ROUTES
from foundations.errors import (
    ConfigError,
    InvalidRequest,
    NotFound,
    ServerError,
    StorageFull,
    Unreachable,
    VersionMismatch,
    from_wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from foundations.client.address import Address
    from foundations.errors import FoundationsError

# What a proxy answers when what is behind it does not.
_AWAY = (502, 503, 504)


def error_of(
    status: int, headers: Dict[str, str], data: bytes, address: Address
) -> FoundationsError:
    """Return the error that an answer stands for."""
    try:
        payload: Any = json.loads(data)
    except ValueError:
        payload = {}
    if isinstance(payload, dict) and "error" in payload:
        return _about_versions(from_wire(payload), headers, address)
    who = _who(headers)
    proxy = address.through()
    if proxy is not None and (status == 407 or status in _AWAY):
        return proxy_refusal(proxy, address.url, "HTTP {}".format(status))
    if status in _AWAY:
        return Unreachable(
            "The Atlas server at {} does not answer: {} before it says HTTP {}.".format(
                address.url, who, status
            ),
            "Look at the server's machine: atlas-server status",
        )
    if status == 413:
        return StorageFull(
            "{} before the Atlas server at {} takes nothing of this size.".format(
                who[0].upper() + who[1:], address.url
            ),
            "Whoever runs it has to raise its limit (nginx: client_max_body_size 64m).",
        )
    return ServerError(
        "{} answers with HTTP status {}.".format(address.url, status),
        "Is it the address of an Atlas server? Look: foundations config check",
    )


def _about_versions(
    error: FoundationsError, headers: Dict[str, str], address: Address
) -> FoundationsError:
    """Say of what only another version knows that it is so."""
    there = headers.get(SERVER_HEADER.lower())
    if there == __version__:
        return error
    server = "Atlas {}".format(there) if there else "an older Atlas"
    hint = "Here it is Atlas {}: install the same foundations-atlas on both sides.".format(
        __version__
    )
    if isinstance(error, NotFound) and error.message.endswith(UNKNOWN_ROUTES):
        what = error.message.rpartition(":")[0]
        return VersionMismatch(
            "The server at {} is {} and does not have {}.".format(address.url, server, what),
            hint,
        )
    if isinstance(error, InvalidRequest) and not error.hint:
        error.hint = "The server is {}. {}".format(server, hint)
    return error


def moved_to(location: str, address: Address) -> FoundationsError:
    """Return the error that the server is elsewhere: a token is not sent there unasked."""
    place = location.split("/api/", maxsplit=1)[0]
    return ConfigError(
        "{} sends us to {}.".format(address.url, location or "nowhere"),
        "Write `scheduler_url: {}` if that is right.".format(place) if place else "",
    )


def _who(headers: Dict[str, str]) -> str:
    name = headers.get("server", "").partition("/")[0]
    return name if name and name != "uvicorn" else "a proxy"
