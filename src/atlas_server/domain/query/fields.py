"""The columns that every job has: what they are called, and what may be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from foundations.contract.states import JobKind, JobState, StateReason


class Kind(Enum):
    """What a column's values are, and so which comparisons make sense."""

    TEXT = "text"  # `:` means "contains"
    WORD = "word"  # `:` means "is", whatever the case
    NUMBER = "number"
    TIME = "time"
    DURATION = "duration"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Field:
    """A column of every job. `words`, where it has any, are all its values."""

    name: str
    kind: Kind
    note: str
    words: tuple[str, ...] = ()


_STATES = tuple(state.value for state in JobState)
_KINDS = tuple(kind.value for kind in JobKind)
_REASONS = tuple(reason.value for reason in StateReason)

FIELDS = {
    field.name: field
    for field in (
        Field("id", Kind.WORD, "the job's ID; id:3f2a means that it begins so"),
        Field("name", Kind.TEXT, "what submit --name said"),
        Field("project", Kind.WORD, "the project's name"),
        Field("user", Kind.WORD, "who submitted it"),
        Field("search", Kind.WORD, "its search, or the program that submitted it with others"),
        Field("kind", Kind.WORD, "scheduled, or executed: run by hand", _KINDS),
        Field("state", Kind.WORD, "queued, running, completed, ...", _STATES),
        Field("reason", Kind.WORD, "why it is in its state", _REASONS),
        Field("command", Kind.TEXT, "the command line"),
        Field("message", Kind.TEXT, "what the end of the job said"),
        Field("notes", Kind.TEXT, "what people noted"),
        Field("priority", Kind.NUMBER, "higher starts earlier"),
        Field("cpus", Kind.NUMBER, "CPUs asked for"),
        Field("gpus", Kind.NUMBER, "GPUs asked for"),
        Field("memory", Kind.BYTES, "memory asked for, as in 8GB"),
        Field("exit_code", Kind.NUMBER, "the worker's exit code"),
        Field("attempts", Kind.NUMBER, "how often it was started"),
        Field("submitted", Kind.TIME, "when it was submitted"),
        Field("queued", Kind.TIME, "when it was queued last"),
        Field("started", Kind.TIME, "when its worker started"),
        Field("finished", Kind.TIME, "when it was over"),
        Field("duration", Kind.DURATION, "how long it ran, or has been running"),
    )
}

ALIASES = {
    "group": "search",
    "job": "id", "job_id": "id", "status": "state", "ram": "memory", "num_cpus": "cpus",
    "num_gpus": "gpus", "exit": "exit_code", "submitted_at": "submitted", "created": "submitted",
    "queued_at": "queued", "started_at": "started", "finished_at": "finished", "ended": "finished",
    "note": "notes", "start_time": "started", "project_name": "project", "runtime": "duration",
}  # fmt: skip
"""What else the fields are called, here and elsewhere."""


def find_field(name: str) -> Field | None:
    """The field of this name, whatever its case."""
    lower = name.lower()
    return FIELDS.get(ALIASES.get(lower, lower))
