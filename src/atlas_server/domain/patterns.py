"""Regular expressions that people send: matched by RE2, in a time that grows with the text alone.

Python's own `re` can be made to run for years by a short pattern, and nothing can interrupt it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

Search = Callable[[str], "tuple[int, int] | None"]


def problem(pattern: str) -> str | None:
    """What is wrong with a pattern, None where nothing is."""
    try:
        _compiled(pattern, True)
    except ValueError as error:
        return str(error)
    return None


def searcher(pattern: str, *, folded: bool = False) -> Search:
    """A function that tells where in a text the pattern is found first, None where it is not.

    With `folded` the case of letters makes no difference. Raises ValueError, see `problem`.
    """
    find = _compiled(pattern, not folded).search

    def search(text: str) -> tuple[int, int] | None:
        found = find(text)
        return None if found is None else found.span()

    return search


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in a text. Raises ValueError."""
    return _compiled(pattern, True).search(text) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str, case_sensitive: bool) -> Any:
    # Late: few servers ever meet a pattern. It brings no types along.
    re2: Any = import_module("re2")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = case_sensitive
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else "it is none"
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise ValueError(text) from None
