"""What is wrong with a query, where, and what may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from atlas_server.domain.query.syntax import Place
from foundations.errors import InvalidQuery

_HINT = "The language in short: foundations query"
_VALUE = {"WORD", "STRING", "DATE"}
_MOST_SUGGESTED = 5


def mistake(message: str, place: Place, suggestions: Iterable[str] = ()) -> InvalidQuery:
    """The error of something that stands at `place`."""
    words = list(suggestions)
    if words:
        message = f"{message} Did you mean {words[0]}?"
    details = {"position": place.position, "length": place.length, "suggestions": words}
    return InvalidQuery(message, _HINT, details)


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The words of `known` that are most like this one, whatever the case."""
    by_lower: dict[str, str] = {}
    for name in known:
        by_lower.setdefault(name.lower(), name)
    lower = word.lower()
    found = get_close_matches(lower, by_lower, _MOST_SUGGESTED, 0.6)
    # What a word is a part of is meant more often than what merely has the same letters.
    parts = [name for name in by_lower if len(lower) > 2 and lower in name and name not in found]
    return [by_lower[name] for name in [*found, *parts][:_MOST_SUGGESTED]]


def unexpected(error: Any, text: str) -> InvalidQuery:
    """The error of a text that breaks off or goes on where it cannot, from lark's own."""
    token: Any = getattr(error, "token", None)
    if token is None:
        position = int(error.pos_in_stream)
        found = text[position]
    elif token.type == "$END":
        position, found = len(text.rstrip()), ""
    else:
        position, found = int(token.start_pos), str(token)
    accepted: Any = getattr(error, "accepts", None) or getattr(error, "allowed", None) or ()
    expected = {str(name) for name in accepted}
    place = Place(position, max(1, len(found)))
    if found == '"':
        return mistake(f'The text that begins at {_at(position)} has no closing ".', place)
    return mistake(_sentence(found, expected, text, position), place)


def _sentence(found: str, expected: set[str], text: str, position: int) -> str:
    where = f"before '{found}' ({_at(position)})" if found else "at the end"
    if expected and expected <= _VALUE:
        return f"A value is missing {where}."
    if expected == {"RPAR"} or (not found and "RPAR" in expected):
        return f"A ')' is missing {where}."
    if {"_HAS", "_MISSING"} <= expected and "_AND" not in expected:
        return f"A condition is missing {where}."
    if "COMMA" in expected and "RPAR" in expected:
        return f"A ',' or ')' is missing {where}."
    if expected <= {"$END", "COMMA"} and "sort" in text[:position].lower():
        return f"'{found}' ({_at(position)}) comes after sort:, which stands at the end."
    if "COLON" in expected and "_AND" not in expected:
        return f"A comparison such as '<' is missing {where}."
    if "NAME" in expected:
        return f"A column is missing {where}."
    return f"'{found}' ({_at(position)}) does not fit there."


def _at(position: int) -> str:
    return f"character {position + 1}"
