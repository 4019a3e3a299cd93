"""What PostgreSQL's errors mean for those who asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError

from foundations.errors import FoundationsError, Refused, StorageFull, Unavailable

_FULL = ("53100",)
_SHUTTING_DOWN = ("57P01", "57P02", "57P03")
_IDLE_TOO_LONG = ("25P03", "57P05")
_TOO_MANY = ("53300",)
_TOO_SLOW = "57014"
_READ_ONLY = "25006"
_BUSY = ("55P03", "40P01", "40001")


def is_away(error: DBAPIError) -> bool:
    """Whether the database could not be reached, is being started or stopped, or is full of others.

    A connection that is refused for another reason (a password, a name) is refused for good.
    """
    state = _state(error)
    if state is not None:
        return state in (*_SHUTTING_DOWN, *_TOO_MANY) or state.startswith("08")
    # Errors of the connection itself have no state: the server told libpq in words.
    said = str(error.orig)
    final = ("authentication failed", "does not exist", "no password", "pg_hba", "not permitted")
    return error.connection_invalidated or (
        type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout", "ConnectionFailure")
        and not any(word in said for word in final)
    )


def is_read_only(error: BaseException | None) -> bool:
    """Whether a database refused to write because it is a standby, or was made to refuse."""
    return getattr(error, "sqlstate", None) == _READ_ONLY


def in_words(error: DBAPIError, name: str) -> Exception:
    """Return what to raise instead of an error of the driver; itself where that is a fault."""
    state = _state(error) or ""
    found: FoundationsError | None = None
    if state in _FULL:
        found = StorageFull(
            "The disk of the database is full; nothing was changed.",
            "Free some space there and try again.",
        )
    elif state == _TOO_SLOW:
        found = Refused(
            "The database took too long over this and was stopped.", "Ask for fewer jobs at once."
        )
    elif state in _BUSY:
        found = Unavailable("The database is busy; nothing was changed.", "Try again.")
    elif state == _READ_ONLY:
        found = Unavailable(
            f"The database {name} can only be read at the moment; nothing was changed.",
            "A standby has to be promoted, or database_url to name the other hosts, too.",
        )
    elif state in _IDLE_TOO_LONG or error.connection_invalidated or is_away(error):
        hint = "What was under way may or may not have been written; the same may be asked again."
        found = Unavailable(no_answer(error, name), hint)
    return error if found is None else found


def no_answer(error: DBAPIError, name: str) -> str:
    """Return a sentence on why a database does not answer."""
    cause = str(error.orig).partition("\n")[0].strip().rstrip(".")
    return f"The database {name} does not answer: {cause}."


def shortened(original: BaseException, wrapped: Any) -> None:
    """Take away what the database quotes of the rows: errors are logged, rows hold secrets."""
    for error in (original, wrapped):
        if error is not None and error.args:
            first = str(error.args[0]).partition("\nDETAIL:")[0]
            error.args = (first, *error.args[1:])


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
