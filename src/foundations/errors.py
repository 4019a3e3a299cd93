"""Errors of the SDK, the command line and the wire.

    FoundationsError
    ├── ConfigError            a file, flag or environment variable is wrong
    ├── BundleError            the job's folder cannot be sent as it is
    │   └── UnsafePathError    a path that would leave its folder
    ├── JournalError           an event cannot be recorded
    ├── EngineError            the container engine of this machine is away, or refuses
    └── ServerError            what the server answered
        ├── Unreachable        no server answered
        │   ├── Unavailable    the server answers, its database does not
        │   └── Untrusted      the server's certificate does not count here
        ├── Unauthenticated    the server wants to know who asks
        ├── Forbidden          whoever asks may not do that
        ├── TooManyAttempts    too many passwords were wrong; `details["wait"]` says until when
        ├── VersionMismatch    client and server do not speak the same API
        ├── NotFound           the job, project or blob does not exist
        │   └── Removed        it did, until a rule of what is kept for how long removed it
        ├── Ambiguous          an ID prefix that fits several jobs
        ├── InvalidRequest     the request does not have the form that the API asks for
        │   └── InvalidQuery   a query that cannot be read; `details` say where and what was meant
        ├── WrongServer        the server that answers is not the one that was meant
        ├── Refused            the request is well-formed but cannot be carried out
        ├── Fenced             an attempt reports that is no longer the job's own
        ├── BlobsMissing       the server lacks content that the request names
        └── StorageFull        the server's disk is full

Every class has a `code`, its name on the wire: `{"error": {"code", "message", "hint", "details"}}`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Type


class FoundationsError(Exception):
    """Base of every error that Atlas raises on purpose.

    `message` says what is wrong; `hint`, when there is one, says what to do next.
    """

    code = "error"
    exit_code = 1

    def __init__(
        self, message: str, hint: str = "", details: Optional[Dict[str, Any]] = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details or {}

    def __str__(self) -> str:
        return "{} {}".format(self.message, self.hint).strip()


class ConfigError(FoundationsError):
    """A configuration file, flag or environment variable cannot be used."""

    code = "bad_config"


class BundleError(FoundationsError):
    """The job's folder cannot be read or sent."""

    code = "bad_bundle"


class UnsafePathError(BundleError):
    """A path in a manifest or archive would leave the folder it belongs to."""

    code = "unsafe_path"


class JournalError(FoundationsError):
    """An event cannot be written to the job's journal."""

    code = "journal"


class EngineError(FoundationsError):
    """The container engine of this machine does not answer, or does not do what it is asked for."""

    code = "engine"


class ServerError(FoundationsError):
    """The server answered with an error."""

    code = "server_error"


class Unreachable(ServerError):
    """No server answered at the scheduler's address."""

    code = "unreachable"


class Unavailable(Unreachable):
    """The server cannot get at its database just now; whoever asks again may get an answer."""

    code = "unavailable"


class Untrusted(Unreachable):
    """The server could not prove to be the one that its address names."""

    code = "untrusted"


class Unauthenticated(ServerError):
    """The server wants to know who asks, and was told nothing that it knows."""

    code = "unauthenticated"


class Forbidden(ServerError):
    """Whoever asks may not do that."""

    code = "forbidden"


class TooManyAttempts(ServerError):
    """Too many passwords were wrong: `details["wait"]` are the seconds until the next try."""

    code = "too_many_attempts"


class VersionMismatch(ServerError):
    """Client and server speak different versions of the API."""

    code = "version_mismatch"


class NotFound(ServerError):
    """What the request names does not exist."""

    code = "not_found"


class Removed(NotFound):
    """What the request names was there, and was removed by a rule that the message names."""

    code = "removed"


class Ambiguous(ServerError):
    """An ID prefix fits more than one job."""

    code = "ambiguous"


class InvalidRequest(ServerError):
    """The request lacks a field, has one of the wrong type, or one that the API does not know."""

    code = "invalid_request"


class InvalidQuery(InvalidRequest):
    """A query cannot be read.

    `details` have `position` and `length` in characters, and `suggestions`, the nearest first.
    """

    code = "invalid_query"


class WrongServer(ServerError):
    """Another server answers at the address: not the one whose attempt this is."""

    code = "wrong_server"


class Fenced(ServerError):
    """The attempt has been given up: its result arrives too late and is not the job's."""

    code = "fenced"


class Refused(ServerError):
    """The request was understood and refused; the message says why."""

    code = "refused"


class BlobsMissing(ServerError):
    """The server lacks blobs that a manifest names; `details["missing"]` lists their digests."""

    code = "blobs_missing"


class StorageFull(ServerError):
    """The server's disk is full; nothing was accepted."""

    code = "storage_full"


def _by_code() -> Dict[str, Type[FoundationsError]]:
    found = {}
    todo = [FoundationsError]
    while todo:
        cls = todo.pop()
        if "code" in vars(cls):  # a subclass without one of its own is no word of the wire
            found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found


def from_wire(payload: Dict[str, Any]) -> FoundationsError:
    """Return the error that a server's JSON error body stands for (unknown codes: ServerError)."""
    error = payload.get("error") or {}
    cls = _by_code().get(error.get("code", ""), ServerError)
    return cls(error.get("message", "unknown error"), error.get("hint", ""), error.get("details"))
