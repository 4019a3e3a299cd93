"""What a runner's report must be like before anything of it is taken in."""

from __future__ import annotations

import math

from foundations.contract import report as phases
from foundations.contract.manifest import is_digest
from foundations.contract.report import Report, Result
from foundations.contract.states import StateReason
from foundations.errors import InvalidRequest

_PHASES = frozenset({phases.PREPARING, phases.RUNNING, phases.FINISHED})
_REASONS = frozenset(reason.value for reason in StateReason)
_LARGEST = 1 << 62  # what the database can count to, and some room
_LARGEST_EXIT_CODE = 1 << 31


def check(report: Report) -> None:
    """Raise InvalidRequest for a report that no runner of this version sends."""
    problem = _problem(report)
    if problem is None and report.result is not None:
        problem = _problem_of(report.result)
    if problem is not None:
        raise InvalidRequest(f"The report's {problem}.")


def _problem(report: Report) -> str | None:
    if report.phase not in _PHASES:
        return f"phase {report.phase!r} is unknown"
    if not 0 <= report.attempt < _LARGEST:
        return "attempt is no attempt's number"
    if not 0 <= report.log_offset < _LARGEST:
        return "log_offset is out of range"
    if not all(1 <= batch.first < _LARGEST for batch in report.journal):
        return "journal has no lines of that number"
    return None


def _problem_of(result: Result) -> str | None:
    if result.reason is not None and result.reason not in _REASONS:
        return f"reason {result.reason!r} is unknown"
    if result.exit_code is not None and abs(result.exit_code) > _LARGEST_EXIT_CODE:
        return "exit_code is out of range"
    if result.outputs is not None and not is_digest(result.outputs):
        return "outputs are no digest"
    if not all(math.isfinite(value) for value in result.usage.values()):
        return "usage is not finite"
    return None
