"""What the result of an attempt means for its job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atlas_server.domain import lifecycle
from atlas_server.domain.records import JobRecord
from foundations.contract.report import Result
from foundations.contract.states import JobState, StateReason

_STARTS_WITHOUT_BEGINNING = 3
_PREEMPTED = "The job's runner was told to end from outside, as when a machine shuts down."


@dataclass(frozen=True, slots=True)
class Ending:
    """The state that a result leads to, before retries are considered."""

    state: JobState
    reason: StateReason | None
    message: str | None = None


def ending_of(job: JobRecord, result: Result) -> Ending:
    """Return where a result leads a job that is in the state of `job`."""
    if result.exit_code == 0 and result.reason is None:
        return Ending(JobState.COMPLETED, None)
    reason = StateReason(result.reason or StateReason.NONZERO_EXIT)
    if job.state is JobState.STOPPING:
        return Ending(JobState.STOPPED, job.reason or StateReason.STOP_REQUESTED)
    if reason is StateReason.STOP_REQUESTED:
        # Its runner was told to end by somebody else: the machine goes down, say.
        return Ending(JobState.FAILED, StateReason.PREEMPTED, _PREEMPTED)
    return Ending(JobState.FAILED, reason)


def message_of(ending: Ending, result: Result, error: dict[str, Any] | None) -> str | None:
    """Return what people are told of an end: the exception says more than the code it led to."""
    if error is not None and ending.reason is StateReason.NONZERO_EXIT:
        text = error["message"].partition("\n")[0]
        return f"{error['type']}: {text}" if text else str(error["type"])
    return ending.message or result.message


def is_retried(job: JobRecord, ending: Ending, result: Result) -> bool:
    """Whether the job is queued again instead of ending so."""
    # An attempt that came to nothing before the job began does not count against its retries.
    retries = job.retries if result.began else job.retries + _STARTS_WITHOUT_BEGINNING
    return (
        ending.state is JobState.FAILED
        and ending.reason is not None
        and lifecycle.should_retry(ending.reason, job.attempts, retries)
    )
