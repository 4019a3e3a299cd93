"""Searches with Optuna: a study in memory, made anew from what the database knows.

Optuna's own databases cost tens of milliseconds a trial and lock each other out; what has to
survive is in ours, also what samplers note down for themselves (`memo`).
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, create_trial

from atlas_server.domain.search.definition import Definition
from atlas_server.domain.search.ports import Known, TrialState
from atlas_server.domain.search.space import Choice, Dimension, Point
from atlas_server.samplers.methods import make_pruner, make_sampler
from atlas_server.samplers.plain import chooser

_STATES = {
    TrialState.OPEN: optuna.trial.TrialState.RUNNING,
    TrialState.COMPLETED: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
    TrialState.STOPPED: optuna.trial.TrialState.FAIL,
}


class OptunaStudy:
    """A search whose trials Optuna chooses, prunes, or both."""

    def __init__(self, search: Definition, known: Sequence[Known]) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = search.space
        self._choose = chooser(search, len(known))
        self._by_name = {d.name: d for d in search.space.dimensions}
        self._open: dict[int, Trial] = {}
        self._told: dict[int, dict[str, Any]] = {}
        with _quiet():
            self._study = optuna.create_study(
                directions=[
                    "minimize" if objective.goal == "min" else "maximize"
                    for objective in search.objectives
                ],
                sampler=make_sampler(search, len(known)),
                pruner=make_pruner(search.pruner) if search.pruner else optuna.pruners.NopPruner(),
            )
            # What samplers note down for themselves is read nowhere else.
            self._storage: Any = self._study._storage  # pyright: ignore[reportPrivateUsage]
            self._study_id: int = self._study._study_id  # pyright: ignore[reportPrivateUsage]
            self._restore(known)

    def _restore(self, known: Sequence[Known]) -> None:
        storage, study_id = self._storage, self._study_id
        # Made once: thousands of trials have the same ones.
        distributions = {name: distribution_of(one) for name, one in self._by_name.items()}
        for trial in known:
            for key, value in trial.memo.get("study", {}).items():
                storage.set_study_system_attr(study_id, key, value)
            frozen = self._frozen(trial, distributions)
            trial_id = storage.create_new_trial(study_id, template_trial=frozen)
            if trial.state is TrialState.OPEN:
                self._open[trial.number] = Trial(self._study, trial_id)

    def _frozen(self, known: Known, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
        """Return a trial as Optuna keeps it."""
        own = [name for name in known.point if name in distributions]
        steps = {step: value for step, value in known.curve if step >= 0 and not math.isnan(value)}
        if known.state is TrialState.COMPLETED and known.scores is not None:
            values: Sequence[float] | None = known.scores
        else:
            # A trial that was pruned counts with the last that it reported.
            values = [steps[max(steps)]] if known.state is TrialState.PRUNED and steps else None
        return create_trial(
            state=_STATES[known.state],
            params={name: inner(self._by_name[name], known.point[name]) for name in own},
            distributions={name: distributions[name] for name in own},
            values=values,
            intermediate_values=steps,
            system_attrs=dict(known.memo.get("trial", {})),
        )

    def ask(self, number: int) -> Point | None:
        """Return the point of a new trial; None when a grid is at its end."""
        storage, study_id = self._storage, self._study_id
        before = dict(storage.get_study_system_attrs(study_id))
        with _quiet():
            if self._choose is not None:
                point = self._choose(number)
                if point is None:
                    return None
                self._study.enqueue_trial(
                    {name: inner(self._by_name[name], value) for name, value in point.items()}
                )
            trial = self._study.ask()
            point = self._space.chosen(lambda dimension: _suggested(trial, dimension))
        self._open[number] = trial
        after = storage.get_study_system_attrs(study_id)
        self._told[number] = {k: v for k, v in after.items() if before.get(k) != v}
        return point

    def memo(self, number: int) -> dict[str, Any]:
        """Return what samplers and pruners have noted down with this trial."""
        trial = self._open.get(number)
        own = {} if trial is None else self._storage.get_trial_system_attrs(_id_of(trial))
        found = {"trial": dict(own), "study": self._told.get(number, {})}
        return {name: notes for name, notes in found.items() if notes}

    def report(self, number: int, step: int, value: float) -> None:
        """Note a value that a trial logged on its way."""
        trial = self._open.get(number)
        if trial is not None and step >= 0 and not math.isnan(value):
            with _quiet():
                trial.report(value, step)

    def should_prune(self, number: int) -> bool:
        """Whether the pruner gives a trial up."""
        trial = self._open.get(number)
        with _quiet():
            return trial is not None and trial.should_prune()

    def tell(self, number: int, state: TrialState, scores: Sequence[float] | None) -> None:
        """Note how a trial has ended."""
        trial = self._open.pop(number, None)
        self._told.pop(number, None)
        if trial is None:
            return
        complete = state is TrialState.COMPLETED and scores is not None
        with _quiet():
            self._study.tell(
                trial,
                list(scores) if complete and scores is not None else None,
                state=_STATES[state] if complete or state is not TrialState.COMPLETED else None,
                skip_if_finished=True,
            )


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """Return Optuna's distribution for a dimension."""
    of = dimension.distribution
    if isinstance(of, Choice):
        return CategoricalDistribution([inner(dimension, value) for value in of.values])
    if of.integer:
        low, high, step = int(of.low), int(of.high), int(of.step or 1)
        # Optuna warns where the highest is not on the grid, and takes the one below.
        return IntDistribution(low, high - (high - low) % step, log=of.log, step=step)
    high = of.high if of.steps is None else of.after(of.steps)
    return FloatDistribution(of.low, high, log=of.log, step=of.step)


def inner(dimension: Dimension, value: Any) -> Any:
    """Return a value as Optuna has it: choices that it cannot tell apart become JSON texts."""
    of = dimension.distribution
    if isinstance(of, Choice):
        return value if _are_plain(of) else json.dumps(value, sort_keys=True)
    return value


def _outer(dimension: Dimension, value: Any) -> Any:
    of = dimension.distribution
    if isinstance(of, Choice) and not _are_plain(of):
        return next(each for each in of.values if json.dumps(each, sort_keys=True) == value)
    return value


def _are_plain(choice: Choice) -> bool:
    scalars = all(isinstance(v, (str, int, float, bool)) or v is None for v in choice.values)
    return scalars and len(set(choice.values)) == len(choice.values)


def _suggested(trial: Trial, dimension: Dimension) -> Any:
    suggest = trial._suggest  # pyright: ignore[reportPrivateUsage]
    return _outer(dimension, suggest(dimension.name, distribution_of(dimension)))


def _id_of(trial: Trial) -> int:
    return trial._trial_id  # pyright: ignore[reportPrivateUsage]


def _quiet() -> warnings.catch_warnings[Any]:
    """What is experimental in Optuna is no news to those who run a server."""
    return warnings.catch_warnings(action="ignore")
