"""The states of a job and the reasons that stand beside them. No I/O."""

from __future__ import annotations

from enum import Enum


class JobState(str, Enum):
    """Where a job is in its life; docs/architecture.md has the table of moves."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.STOPPED})


class StateReason(str, Enum):
    """Why a job is in its state."""

    NONZERO_EXIT = "nonzero_exit"
    STOP_REQUESTED = "stop_requested"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"
    START_FAILED = "start_failed"
    REQUIREMENTS_FAILED = "requirements_failed"
    PREEMPTED = "preempted"
    # Of trials: given up for what they logged so far; not needed any more, their search being over.
    PRUNED = "pruned"
    SEARCH_OVER = "search_over"


class JobKind(str, Enum):
    """How a job came to run."""

    SCHEDULED = "scheduled"
    EXECUTED = "executed"
