"""The states of a job: which may follow which, with which reason, and when a job is tried again.

Pure: `services.jobs` applies what `transition()` allows, in one transaction with its event.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from foundations.contract.states import JobKind, JobState, StateReason

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.STARTING, JobState.STOPPED}),
        JobState.STARTING: frozenset(
            {JobState.RUNNING, JobState.STOPPING, JobState.FAILED, JobState.QUEUED}
        ),
        JobState.RUNNING: frozenset(
            {JobState.STOPPING, JobState.COMPLETED, JobState.FAILED, JobState.QUEUED}
        ),
        JobState.STOPPING: frozenset({JobState.STOPPED, JobState.COMPLETED, JobState.FAILED}),
        JobState.COMPLETED: frozenset(),
        JobState.FAILED: frozenset(),
        JobState.STOPPED: frozenset(),
    }
)
"""What each state may become."""

BEGINNINGS: Mapping[JobKind, JobState] = MappingProxyType(
    {JobKind.SCHEDULED: JobState.QUEUED, JobKind.EXECUTED: JobState.RUNNING}
)
"""The state in which a job is first heard of: one that runs by itself never waits."""

SOURCES: Mapping[JobState, frozenset[JobState]] = MappingProxyType(
    {
        new: frozenset(old for old, following in TRANSITIONS.items() if new in following)
        for new in JobState
    }
)
"""The states that may become each state: what a compare-and-set has to find."""

RETRIED: frozenset[StateReason] = frozenset(
    {
        StateReason.NONZERO_EXIT,
        StateReason.TIMED_OUT,
        StateReason.OUT_OF_MEMORY,
        StateReason.LOST,
        StateReason.START_FAILED,
        StateReason.PREEMPTED,
    }
)
"""Ends of an attempt after which another may go better; unmet requirements stay unmet."""

STOPS: frozenset[StateReason] = frozenset(
    {StateReason.STOP_REQUESTED, StateReason.PRUNED, StateReason.SEARCH_OVER}
)
"""Why a job is stopped."""

REASONS: Mapping[JobState, frozenset[StateReason | None]] = MappingProxyType(
    {
        # A job that is queued again keeps the reason for which its last attempt ended.
        JobState.QUEUED: RETRIED | {None},
        JobState.STARTING: frozenset({None}),
        JobState.RUNNING: frozenset({None}),
        JobState.STOPPING: frozenset(STOPS),
        JobState.COMPLETED: frozenset({None}),
        JobState.FAILED: RETRIED | {StateReason.REQUIREMENTS_FAILED},
        JobState.STOPPED: frozenset(STOPS),
    }
)
"""The reasons that may stand beside each state; None: no reason."""

LONGEST_RETRY_DELAY = 300.0


class IllegalTransition(ValueError):
    """A job cannot go from this state to that one, or not for this reason."""

    def __init__(self, current: JobState, new: JobState, reason: StateReason | None) -> None:
        because = f" ({reason.value})" if reason is not None else ""
        super().__init__(f"a {current.value} job cannot become {new.value}{because}")
        self.current = current
        self.new = new
        self.reason = reason


def transition(current: JobState, new: JobState, reason: StateReason | None = None) -> JobState:
    """The new state, once the table allows the move and the reason fits the state.

    Raises IllegalTransition.
    """
    if new not in TRANSITIONS[current] or reason not in REASONS[new]:
        raise IllegalTransition(current, new, reason)
    return new


def should_retry(reason: StateReason | None, attempts_done: int, retries: int) -> bool:
    """Whether a job is queued again.

    `attempts_done` counts the attempt that has just ended; `retries` is the job's number of
    further attempts after the first.
    """
    return reason in RETRIED and attempts_done <= retries


def retry_delay(attempt: int) -> float:
    """Seconds to wait after attempt number `attempt` (from 1): 1, 2, 4, ... at most 300."""
    return min(2.0 ** min(attempt - 1, 30), LONGEST_RETRY_DELAY)
