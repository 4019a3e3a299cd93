"""How a job ended that ran without a runner: from what its processes said, and what is known."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas_runner.ending import signal_name
from foundations.contract.report import Result
from foundations.contract.states import StateReason
from foundations.execution.folder import JobFolder, Member
from foundations.execution.processes import same_boot

_RESTARTED = "The machine was restarted while the program ran."
_KILLED = "The program was killed, or the system ended it, for want of memory perhaps."


def conclude(folder: JobFolder, statuses: Mapping[str, int], last_sign: float) -> Result:
    """Return how a job ended; `statuses` are those of its processes that are known, as of `wait`.

    `last_sign` is when a program was last heard of that did not say when it ended. Of several
    processes those of the last round count, and the first of them that failed.
    """
    members = folder.members()
    last = [member for member in members if member.round == max(m.round for m in members)]
    ends = [_End(member, statuses.get(member.identity)) for member in last]
    failed = sorted((end for end in ends if end.failed), key=_End.order)
    decisive = failed[0] if failed else None
    told = [end.ended_at for end in ends if end.ended_at is not None]
    ended_at = max(told) if len(told) == len(ends) and told else last_sign
    began_at = min((member.started_at for member in members), default=ended_at)
    usage = {"wall_seconds": round(max(0.0, ended_at - began_at), 3), **_used(ends)}
    if decisive is None:
        return Result(0, None, None, None, usage, ended_at=ended_at)
    return Result(
        decisive.code, decisive.reason.value, decisive.message, None, usage, ended_at=ended_at
    )


class _End:
    """How one process ended. `code` is 128 + the signal where one ended it; None: unknown."""

    def __init__(self, member: Member, status: int | None) -> None:
        said = member.end or {}
        self._restarted = member.is_here and not same_boot(member.identity)
        self.usage: dict[str, float] = said.get("usage") or {}
        self.ended_at: float | None = said.get("ended_at")
        self.said = member.end is not None
        self._text: str | None = said.get("message")
        self.code: int | None = said.get("exit_code")
        number = None if status is None else os.waitstatus_to_exitcode(status)
        if self.code is None and number is not None:
            self.code = number if number >= 0 else 128 - number
        self._signal = -number if number is not None and number < 0 and not self.said else None

    @property
    def failed(self) -> bool:
        """Whether the process did not end well; one that left by itself is believed to have."""
        return self.code != 0 if self.code is not None else not self.said

    def order(self) -> tuple[bool, float]:
        """Those that said why they failed first: they may be the reason why others were killed."""
        return not self.said, self.ended_at or 0.0

    @property
    def reason(self) -> StateReason:
        """Why the job failed."""
        if not self.said and self._restarted:
            return StateReason.LOST
        return StateReason.NONZERO_EXIT

    @property
    def message(self) -> str:
        """The same for people."""
        if self._text is not None:
            return self._text
        if self._signal is not None:
            return f"The program was ended by {signal_name(self._signal)}."
        if self.code is not None:
            return f"The program exited with code {self.code}."
        return _RESTARTED if self._restarted else _KILLED


def _used(ends: Sequence[_End]) -> dict[str, float]:
    seconds = [end.usage["cpu_seconds"] for end in ends if "cpu_seconds" in end.usage]
    memory = [end.usage["peak_memory"] for end in ends if "peak_memory" in end.usage]
    used: dict[str, Any] = {}
    if seconds:
        used["cpu_seconds"] = round(sum(seconds), 3)
    if memory:
        used["peak_memory"] = sum(memory)
    return used


def last_sign(folder: JobFolder, now: float) -> float:
    """Return when a program that may have ended without a word was last heard of."""
    if not folder.is_over(now):
        return now
    root = Path(folder.root)
    signs = [root / "facts.json", root / "log", *(root / "journal").glob("*.jsonl")]
    return max((min(path.stat().st_mtime, now) for path in signs if path.exists()), default=now)
