"""Passwords: what they must be, and whether one is right."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from foundations.errors import InvalidRequest

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 8
LONGEST = 1024
# Checking one takes 64 MB and some hundredth of a second of every core, on purpose: those who try
# many must not take the machine from the others.
_at_once = threading.BoundedSemaphore(2)


def check_new(password: str, user: str) -> None:
    """Raise InvalidRequest for what nobody should have as a password."""
    if len(password) < SHORTEST:
        raise InvalidRequest(f"The password is too short: {SHORTEST} characters at least.")
    if len(password) > LONGEST:
        raise InvalidRequest(f"The password is too long: {LONGEST} characters at most.")
    if password.lower() == user.lower():
        raise InvalidRequest("The password must not be the user's name.")


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    with _at_once:
        return _hasher().hash(_bytes(password))


def is_right(kept: str | None, password: str) -> bool:
    """Whether a password is the one of which `kept` is kept.

    Takes as long where nothing is kept: who tries learns nothing of which users there are.
    """
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - see below

    if len(password) > LONGEST:
        password = ""
    with _at_once:
        nobodys = _of_nobody()  # made by the first try, whoever that is for
        try:
            right = _hasher().verify(kept or nobodys, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
    return right and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a password is kept in a way that is weaker than today's."""
    return _hasher().check_needs_rehash(kept)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    # Late: a server without users needs none of it.
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher()


@lru_cache(maxsize=1)
def _of_nobody() -> str:
    return _hasher().hash(b"nobody has this password")
