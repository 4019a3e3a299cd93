"""Regular expressions that people send: matched by RE2, in a time that grows with the text alone.

Python's own `re` can be made to run for years by a short pattern, and nothing can interrupt it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any


def problem(pattern: str) -> str | None:
    """What is wrong with a pattern, None where nothing is."""
    try:
        _compiled(pattern, True)
    except ValueError as error:
        return str(error)
    return None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in a text. Raises ValueError."""
    return _compiled(pattern, True).search(text) is not None


def line_finder(
    text: str, *, is_pattern: bool, folded: bool
) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    """A function that tells where in UTF-8 lines a text or pattern is: (begin, end), in order.

    No match goes beyond its line; `^` and `$` are the line's. A text is found as it is seen, also
    where a terminal's colours change within it. Raises ValueError.
    """
    wanted = text if is_pattern else _COLOURS.join(map(_escaped, text))
    find = _compiled(f"(?m){wanted}", not folded, of_lines=True).finditer

    def spans(lines: bytes) -> Iterator[tuple[int, int]]:
        for found in find(lines):
            begin, end = found.span()
            if end > begin:
                yield begin, end

    return spans


_COLOURS = r"(?:\x1b\[[0-9;:?]*[@-~])*"


def _escaped(text: str) -> str:
    re2: Any = import_module("re2")
    return re2.escape(text)


@lru_cache(maxsize=64)
def _compiled(pattern: str, case_sensitive: bool, of_lines: bool = False) -> Any:
    # Late: few servers ever meet a pattern. It brings no types along.
    re2: Any = import_module("re2")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = case_sensitive
    options.never_nl = of_lines
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else "it is none"
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise ValueError(text) from None
