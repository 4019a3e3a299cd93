"""What a job's ID may be. No I/O."""

from __future__ import annotations

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LONGEST = 36


def is_job_id(text: str) -> bool:
    """Whether a job may have this ID: a file name of 36 letters, digits, `.`, `_` and `-` at most.

    Those that are made here are UUIDs; others are chosen by people. `last` names the newest job.
    """
    return (
        0 < len(text) <= _LONGEST
        and _LETTERS.issuperset(text)
        and text[0] not in ".-"
        and text != "last"
    )
