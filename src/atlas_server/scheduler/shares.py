"""What fairness is judged by, kept while jobs come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from atlas_server.domain.limits import Rules
from atlas_server.domain.past import Past, Stay
from atlas_server.domain.placement import Fairness, Running
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import Allocation


class Shares:
    """The limits that count now, and what users have held: in memory, read again at the start."""

    def __init__(self, rules: Callable[[], Rules], half_life: float) -> None:
        self._rules = rules
        self._past = Past(half_life)

    @property
    def horizon(self) -> float:
        """What ended so many seconds ago does not count any more."""
        return self._past.horizon

    def load(self, history: Iterable[Stay]) -> None:
        """Count what ended before this server started."""
        for stay in history:
            self._past.add(stay)

    def ended(self, job: JobRecord, attempt: AttemptRecord, now: float) -> None:
        """Count an attempt that is over."""
        amount = Allocation.from_json(attempt.allocation).amount()
        began = attempt.started_at or attempt.created_at
        self._past.add(Stay(job.user, amount, began, now))
        self._past.forget_before(now)

    def fairness(self, running: Iterable[Running], now: float) -> Fairness:
        """Return what a decision at this moment goes by."""
        going_on = (Stay(job.user, job.allocation.amount(), job.started_at, now) for job in running)
        return Fairness(self._rules(), self._past.at(now, going_on))
