"""One search that goes on: what its study knows, which trials run, what comes next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from atlas_server.domain.ports import Clock
from atlas_server.domain.search.definition import read_definition
from atlas_server.domain.search.ports import Known, Studies, TrialState
from atlas_server.domain.search.records import SearchRecord, SearchState, TrialRecord
from atlas_server.domain.search.slots import gpus_of_trial
from atlas_server.domain.search.space import Point
from atlas_server.domain.search.verdict import Standing, Verdict, verdict
from atlas_server.services.trials import Ended, Trials
from foundations.contract.states import StateReason

log = logging.getLogger(__name__)

# A sampler that took longer than this is asked before its answer is needed, though it then lacks
# the result of one trial.
_SLOW = 0.03
_HOUR = 3600.0
# Trials, the newest ones, whose curves pruners compare others with after the server has started.
_MOST_CURVES = 1000
# Seconds after which GPU hours are counted again.
_GPU_PACE = 10.0


@dataclass(slots=True)
class _Open:
    """A trial whose job is not over; its points up to number `reported` were told to the study."""

    number: int
    started_at: float | None = None
    reported: int = 0
    given_up: bool = False


class SearchRun:
    """A search in memory. Everything here can be made anew from the database at any instant."""

    def __init__(
        self,
        search: SearchRecord,
        trials: Trials,
        studies: Studies,
        clock: Clock,
        slots: Callable[[SearchRecord], int],
    ) -> None:
        self._trials = trials
        self._clock = clock
        self._slots = slots
        self._open: dict[str, _Open] = {}
        self._reserve: Point | None = None
        self._pace = 0.0
        self._ran = 0.0
        self._looked_at = 0.0
        self._over = False
        self._standing = Standing()
        self.search = search
        self._definition = read_definition(search.definition)
        self._limit = self._definition.concurrency or slots(search)
        known = trials.known(search)
        self._next = len(known)
        self._study = studies(self._definition, self._told(known))
        for trial in known:
            self._count(trial)

    @property
    def is_pruned(self) -> bool:
        """Whether what trials log on their way matters."""
        return self._definition.pruner is not None

    def has(self, job_id: str) -> bool:
        """Whether a job is an open trial of this search."""
        return job_id in self._open

    def refresh(self, search: SearchRecord) -> None:
        """Go on with what the search says now."""
        was, self.search = self.search, search
        if search.definition != was.definition:
            self._definition = read_definition(search.definition)
            self._limit = self._definition.concurrency or self._slots(search)

    def step(self, changed: Collection[str], recorded: Collection[str]) -> bool:
        """Take in what has happened to jobs, and begin trials; False once the search is over."""
        self._settle([job_id for job_id in changed if job_id in self._open])
        if self.is_pruned:
            self._prune([job_id for job_id in recorded if job_id in self._open])
        why = self._verdict() or self._fill()
        self._over = why is not None
        if why is not None and why.at_once:
            self._give_up(StateReason.SEARCH_OVER)
        if self._open or why is None:
            self._think_ahead(why)
            return True
        return not self._finish(why)

    def due(self, now: float) -> float | None:
        """When the search has to be looked at, though nothing happens."""
        budget = self._definition.budget
        if self._over or self.search.state is not SearchState.RUNNING:
            return None
        moments: list[float] = []
        if budget.seconds is not None:
            moments.append(now + max(0.0, budget.seconds - self.search.seconds(now)))
        if budget.gpu_hours is not None:
            moments.append(self._looked_at + _GPU_PACE)
        return min(moments, default=None)

    def everything(self) -> list[str]:
        """Return the IDs of all jobs that are not known to be over."""
        return list(self._open)

    def _told(self, known: Sequence[TrialRecord]) -> list[Known]:
        """The trials as a study has to know them."""
        curves: dict[str, list[tuple[int, float]]] = {}
        if self.is_pruned:
            metric = self._definition.objectives[0].metric
            newest = [trial.job_id for trial in known[-_MOST_CURVES:]]
            curves = self._trials.curves(newest, metric)
        return [
            Known(
                trial.number, trial.state, trial.point, trial.scores,
                curves.get(trial.job_id, ()), trial.memo or {},
            )
            for trial in known
        ]  # fmt: skip

    def _count(self, trial: TrialRecord) -> None:
        if trial.state is TrialState.OPEN:
            self._open[trial.job_id] = _Open(trial.number)
            return
        if trial.started_at is not None and trial.finished_at is not None:
            self._ran += trial.finished_at - trial.started_at
        self._note(trial.state, trial.scores, trial.finished_at or 0.0)

    def _note(self, state: TrialState, scores: Sequence[float] | None, at: float) -> None:
        score = scores[0] if scores and len(scores) == 1 else None
        self._standing.note(state, score, self._definition.objectives[0])
        if at < (self.search.active_since or 0.0):
            # Of before somebody let the search go on: that was seen, and is no reason to end it.
            self._standing.failures = self._standing.since_best = 0

    def _settle(self, over: Sequence[str]) -> None:
        if not over:
            return
        numbers = {job_id: self._open[job_id].number for job_id in over}
        ended, running = self._trials.settle(
            self.search, numbers, self._definition.objectives, self._study.memo
        )
        for job_id, started_at in running.items():
            self._open[job_id].started_at = started_at
        for trial in ended:
            self._end(trial)

    def _end(self, trial: Ended) -> None:
        if self.is_pruned:
            self._report(trial.job_id)
        del self._open[trial.job_id]
        self._study.tell(trial.number, trial.state, trial.scores)
        if trial.started_at is not None:
            self._ran += trial.finished_at - trial.started_at
        self._note(trial.state, trial.scores, trial.finished_at)

    def _report(self, job_id: str) -> bool:
        """Tell the study what a trial has logged since; False where that was nothing."""
        trial = self._open[job_id]
        metric = self._definition.objectives[0].metric
        points = self._trials.curve(job_id, metric, trial.reported)
        for seq, step, value in points:
            self._study.report(trial.number, step, value)
            trial.reported = seq
        return bool(points)

    def _prune(self, recorded: Sequence[str]) -> None:
        for job_id in recorded:
            trial = self._open[job_id]
            if not trial.given_up and self._report(job_id):
                if self._study.should_prune(trial.number):
                    trial.given_up = True
                    self._trials.stop(job_id, StateReason.PRUNED)

    def _verdict(self) -> Verdict | None:
        if self.search.state is not SearchState.RUNNING:
            return Verdict(self.search.message or "Stopped.")
        now = self._looked_at = self._clock.now()
        gpus = gpus_of_trial(self.search.spec)
        running = [trial.started_at for trial in self._open.values() if trial.started_at]
        ran = self._ran + sum(now - started_at for started_at in running)
        self._standing.gpu_hours = ran * gpus / _HOUR
        self._standing.seconds = self.search.seconds(now)
        self._standing.started = self._next
        self._standing.open = len(self._open)
        return verdict(self._definition, self._standing)

    def _fill(self) -> Verdict | None:
        """Begin trials until as many run as may; a verdict where no more are to begin."""
        while len(self._open) < self._limit:
            point = self._ask()
            if point is None:
                return Verdict(f"{self._next} trials, all that there are")
            params = self._definition.space.parameters(point)
            memo = self._study.memo(self._next)
            job_id = self._trials.begin(self.search, self._next, point, params, memo)
            if job_id is None:
                return Verdict("Stopped.")
            self._open[job_id] = _Open(self._next)
            self._next += 1
            why = self._verdict()
            if why is not None:
                return why
        return None

    def _ask(self) -> Point | None:
        if self._reserve is not None:
            point, self._reserve = self._reserve, None
            return point
        begin = time.monotonic()
        point = self._study.ask(self._next)
        self._pace = time.monotonic() - begin
        return point

    def _think_ahead(self, why: Verdict | None) -> None:
        if why is None and self._reserve is None and self._pace > _SLOW:
            self._reserve = self._ask()

    def _give_up(self, reason: StateReason) -> None:
        for job_id, trial in self._open.items():
            if not trial.given_up:
                trial.given_up = True
                self._trials.stop(job_id, reason)

    def _finish(self, why: Verdict) -> bool:
        if self.search.state is SearchState.STOPPING:
            return self._trials.finish(self.search, SearchState.STOPPED, self.search.message)
        state = SearchState.FAILED if why.failed else SearchState.COMPLETED
        message = why.why[:1].upper() + why.why[1:] + "."
        return self._trials.finish(self.search, state, message)
