"""Whether a search goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atlas_server.domain.search.definition import Budget, Definition, Objective
from atlas_server.domain.search.ports import TrialState


@dataclass(slots=True)
class Standing:
    """How far a search has come. Seconds and GPU hours are those spent until now."""

    started: int = 0
    open: int = 0
    best: float | None = None
    since_best: int = 0
    failures: int = 0
    seconds: float = 0.0
    gpu_hours: float = 0.0

    def note(self, state: TrialState, score: float | None, objective: Objective) -> None:
        """Count a trial that has ended; `score` is that of the only objective."""
        if state is TrialState.FAILED:
            self.failures += 1
            return
        if state is TrialState.STOPPED:
            return
        self.failures = 0
        if (
            state is TrialState.COMPLETED
            and score is not None
            and is_better(score, self.best, objective)
        ):
            self.best, self.since_best = score, 0
        else:
            self.since_best += 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """No more trials, and why. `at_once`: those that run are stopped, too."""

    why: str
    at_once: bool = False
    failed: bool = False


def is_better(score: float, than: float | None, objective: Objective) -> bool:
    """Whether a score beats another, or is the first one."""
    return than is None or (score < than if objective.goal == "min" else score > than)


def verdict(search: Definition, standing: Standing) -> Verdict | None:
    """Why no further trial is to begin; None: one may."""
    rules, objective = search.stop, search.objectives[0]
    if rules.failures is not None and standing.failures >= rules.failures:
        return Verdict(f"{standing.failures} trials in a row have failed", failed=True)
    if rules.target is not None and standing.best is not None:
        if not is_better(rules.target, standing.best, objective):
            return Verdict(f"{objective.metric} reached {rules.target:g}", at_once=True)
    if rules.patience is not None and standing.since_best >= rules.patience:
        return Verdict(f"{standing.since_best} trials in a row brought nothing better", True)
    return _spent(search.budget, standing)


def _spent(budget: Budget, standing: Standing) -> Verdict | None:
    if budget.trials is not None and standing.started >= budget.trials:
        return Verdict(f"{standing.started} trials, as many as were asked for")
    if budget.seconds is not None and standing.seconds >= budget.seconds:
        return Verdict("its time is over")
    if budget.gpu_hours is not None and standing.gpu_hours >= budget.gpu_hours:
        return Verdict(f"its {budget.gpu_hours:g} GPU hours are spent")
    return None


def front(
    scores: Sequence[tuple[int, Sequence[float]]], objectives: Iterable[Objective]
) -> list[int]:
    """The numbers of the trials that no other beats: as good in all, and better in one."""
    signs = [1.0 if objective.goal == "min" else -1.0 for objective in objectives]
    turned = sorted(
        ([sign * value for sign, value in zip(signs, values, strict=True)], number)
        for number, values in scores
    )
    kept: list[tuple[list[float], int]] = []
    for values, number in turned:
        # Sorted: only an earlier one can be as good in the first and no worse in the others.
        beaten = any(
            all(one <= other for one, other in zip(best, values, strict=True)) and best != values
            for best, _ in kept
        )
        if not beaten:
            kept.append((values, number))
    return sorted(number for _, number in kept)
