"""What the end of a trial's job means for the trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from atlas_server.domain.query.goals import best_of
from atlas_server.domain.records import JobRecord
from atlas_server.domain.search.definition import Objective
from atlas_server.domain.search.ports import TrialState
from foundations.contract.states import JobState, StateReason

Outcome = tuple[TrialState, list[float] | None, str | None]
"""State, scores, and what people are told."""


def outcome(
    job: JobRecord | None, metrics: Mapping[str, Mapping[str, Any]], objectives: Sequence[Objective]
) -> Outcome:
    """How a trial has ended whose job is over; None: the job was deleted.

    `metrics` have of each metric its newest value, the lowest and the highest.
    """
    if job is None:
        return TrialState.FAILED, None, "Its job was deleted."
    if job.state is JobState.STOPPED:
        if job.reason is StateReason.PRUNED:
            scores, _ = _scores(metrics, objectives)
            return TrialState.PRUNED, scores, None
        over = job.reason is StateReason.SEARCH_OVER
        return TrialState.STOPPED, None, "The search was over." if over else "Somebody stopped it."
    if job.state is JobState.FAILED:
        return TrialState.FAILED, None, job.message
    scores, problem = _scores(metrics, objectives)
    if scores is None:
        return TrialState.FAILED, None, problem
    return TrialState.COMPLETED, scores, None


def _scores(
    metrics: Mapping[str, Mapping[str, Any]], objectives: Sequence[Objective]
) -> tuple[list[float] | None, str | None]:
    scores: list[float] = []
    for objective in objectives:
        metric = metrics.get(objective.metric)
        if metric is None:
            known = ", ".join(metrics) or "nothing"
            return None, f"It logged no metric '{objective.metric}', but {known}."
        value = _value(metric, objective)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            return None, f"Its {objective.metric} is {value}, which is no number."
        scores.append(float(value))
    return scores, None


def _value(metric: Mapping[str, Any], objective: Objective) -> Any:
    if objective.which == "last":
        return metric["value"]
    low, high = metric["min"], metric["max"]
    if objective.which == "best":
        goals = {objective.metric: objective.goal}
        return best_of(objective.metric, goals, low, high)
    return low if objective.which == "min" else high
