"""What a runner's report must be like before anything of it is taken in."""

from __future__ import annotations

import math
import re
from typing import Any, cast

from foundations.contract import report as phases
from foundations.contract.manifest import is_digest
from foundations.contract.report import Report, Result
from foundations.contract.states import StateReason
from foundations.errors import InvalidRequest

_PHASES = frozenset({phases.PREPARING, phases.RUNNING, phases.FINISHED})
_REASONS = frozenset(reason.value for reason in StateReason)
_LARGEST = 1 << 62  # what the database can count to, and some room
_LARGEST_EXIT_CODE = 1 << 31
_DEEPEST = 100  # whoever reads nested values needs a stack
_WRITER = re.compile(r"[\w.-]{1,128}", re.ASCII)


def check(report: Report) -> None:
    """Raise InvalidRequest for a report that no runner of this version sends."""
    problem = _problem(report) or _problem_of_content(report)
    if problem is None and report.result is not None:
        problem = _problem_of_result(report.result)
    if problem is not None:
        raise InvalidRequest(f"The report's {problem}.")


def readable(value: Any) -> Any:
    """Return a JSON value with `?` for what is no character: halves of pairs, raw bytes of names.

    No database and no answer could carry it. Raises ValueError for one nested too deeply.
    """
    return _readable(value, _DEEPEST)


def _readable(value: Any, deeper: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return {_readable(key, 0): _deeper(item, deeper) for key, item in pairs.items()}
    if isinstance(value, list):
        return [_deeper(item, deeper) for item in cast("list[Any]", value)]
    return value


def _deeper(value: Any, deeper: int) -> Any:
    if not deeper:
        raise ValueError("nested too deeply")
    return _readable(value, deeper - 1)


def _problem(report: Report) -> str | None:
    if report.phase not in _PHASES:
        return f"phase {report.phase!r} is unknown"
    if not 0 <= report.attempt < _LARGEST:
        return "attempt is no attempt's number"
    if not 0 <= report.log_offset < _LARGEST:
        return "log_offset is out of range"
    if report.started_at is not None and not math.isfinite(report.started_at):
        return "started_at is no time"
    if not _is_text(report.runner):
        return "runner is no text"
    return None


def _problem_of_content(report: Report) -> str | None:
    if not all(1 <= batch.first < _LARGEST for batch in report.journal):
        return "journal has no lines of that number"
    if not all(_WRITER.fullmatch(batch.writer) for batch in report.journal):
        return "journal is of no writer"
    try:
        readable(report.environment)
    except ValueError as error:
        return f"environment is {error}"
    return None


def _problem_of_result(result: Result) -> str | None:
    if result.reason is not None and result.reason not in _REASONS:
        return f"reason {result.reason!r} is unknown"
    if result.exit_code is not None and abs(result.exit_code) > _LARGEST_EXIT_CODE:
        return "exit_code is out of range"
    if result.outputs is not None and not is_digest(result.outputs):
        return "outputs are no digest"
    if not all(math.isfinite(value) for value in result.usage.values()):
        return "usage is not finite"
    if not all(_is_text(text) for text in (result.message, *result.usage)):
        return "result holds what is no text"
    return None


def _is_text(text: str | None) -> bool:
    return text is None or readable(text) == text
