"""What the API shows of searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection

from atlas_server.domain.answers.searches import (
    Importance,
    SearchDetails,
    SearchRow,
    Trial,
    TrialCounts,
)
from atlas_server.domain.ports import Clock
from atlas_server.domain.search.definition import Definition, read_definition
from atlas_server.domain.search.importance import importance
from atlas_server.domain.search.ports import TrialState
from atlas_server.domain.search.records import SearchRecord, TrialRecord
from atlas_server.domain.search.shown import constants, dimensions
from atlas_server.domain.search.slots import gpus_of_trial
from atlas_server.domain.search.verdict import front
from atlas_server.services.searches import no_search
from atlas_server.store import searches
from atlas_server.store.engine import Store
from foundations.contract.codec import finite
from foundations.errors import InvalidRequest

_NOTHING: TrialCounts = {
    "total": 0, "queued": 0, "running": 0, "completed": 0, "pruned": 0, "failed": 0, "stopped": 0,
}  # fmt: skip
_MOST_CURVES = 500
_MOST_POINTS = 1000
_HOUR = 3600.0


class SearchViews:
    """Reads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def listing(self, project: str | None, limit: int) -> list[SearchRow]:
        """Return searches and loops, the newest first."""
        with self._store.read() as connection:
            found = searches.listing(connection, project, limit)
            rows = self._rows(connection, found)
            rows += [_loop(loop) for loop in searches.loops(connection, project, limit)]
        return sorted(rows, key=lambda row: row["created_at"], reverse=True)[:limit]

    def row(self, name: str) -> SearchRow:
        """Return one search or loop. Raises NotFound."""
        with self._store.read() as connection:
            search = searches.find(connection, name)
            if search is not None:
                return self._rows(connection, [search])[0]
            loop = searches.loop(connection, name)
            if loop is None:
                raise no_search(connection, name)
            return _loop(loop)

    def details(self, name: str) -> SearchDetails:
        """Return everything about a search but its trials. Raises NotFound, or Refused."""
        with self._store.read() as connection:
            search = self._find(connection, name)
            row = self._rows(connection, [search])[0]
            definition = read_definition(search.definition)
            best = _front(connection, search, definition)
        return {
            **row,
            "parameters": dimensions(definition.space),
            "constants": constants(definition.space),
            "front": best,
            "definition": search.definition,
            "spec": finite(search.spec),
        }

    def trials(self, name: str, after: int = -1) -> list[Trial]:
        """Return the trials of a search. Raises NotFound, or Refused."""
        with self._store.read() as connection:
            search = self._find(connection, name)
            found = searches.trials_of(connection, search.id, after)
            now = searches.open_jobs(connection, search.id)
        return [_trial(trial, now) for trial in found]

    def curves(self, name: str, after: int = -1) -> dict[str, list[list[float]]]:
        """Return what trials logged of the objective's metric on their way, by number.

        Of so many trials and points that a page can draw them. Raises NotFound, or Refused.
        """
        with self._store.read() as connection:
            search = self._find(connection, name)
            metric = read_definition(search.definition).objectives[0].metric
            found = searches.trials_of(connection, search.id, after)[:_MOST_CURVES]
            curves = searches.curves(connection, [trial.job_id for trial in found], metric)
        shown: dict[str, list[list[float]]] = {}
        for trial in found:
            points = curves.get(trial.job_id, [])
            # Of very long ones every so many: a page has no more room, and the last one counts.
            every = len(points) // _MOST_POINTS + 1
            kept = points[::every] if every == 1 else [*points[::every], points[-1]]
            shown[str(trial.number)] = [
                [step if step is not None else float(seq - 1), value] for seq, step, value in kept
            ]
        return shown

    def importance(self, name: str, metric: str | None) -> Importance:
        """Return how much each parameter matters to an objective. Raises NotFound, or Refused."""
        with self._store.read() as connection:
            search = self._find(connection, name)
            found = searches.trials_of(connection, search.id)
        definition = read_definition(search.definition)
        metrics = [objective.metric for objective in definition.objectives]
        wanted = metrics[0] if metric is None else metric
        if wanted not in metrics:
            raise InvalidRequest(f"'{wanted}' is no objective of the search.", ", ".join(metrics))
        at = metrics.index(wanted)
        scored = [
            (trial.point, trial.scores[at])
            for trial in found
            if trial.state is TrialState.COMPLETED and trial.scores
        ]
        return {
            "objective": wanted,
            "trials": len(scored),
            "importance": importance(definition.space, scored),
        }

    def _find(self, connection: Connection, name: str) -> SearchRecord:
        search = searches.find(connection, name)
        if search is None:
            raise no_search(connection, name)
        return search

    def _rows(self, connection: Connection, found: Sequence[SearchRecord]) -> list[SearchRow]:
        now = self._clock.now()
        keys = [search.id for search in found]
        counts = searches.counts(connection, keys)
        ran = searches.seconds_of_trials(connection, keys, now)
        rows: list[SearchRow] = []
        for search in found:
            definition = read_definition(search.definition)
            gpus = gpus_of_trial(search.spec)
            row = _row(search, definition, counts.get(search.id, {}))
            row["spent"] = {
                "trials": row["counts"]["total"],
                "seconds": search.seconds(now),
                "gpu_hours": ran.get(search.id, 0.0) * gpus / _HOUR,
            }
            if len(definition.objectives) == 1:
                goal = definition.objectives[0].goal
                best = searches.best_of(connection, search.id, goal)
                row["best"] = _trial(best, {}) if best else None
            rows.append(row)
        return rows


def _front(connection: Connection, search: SearchRecord, definition: Definition) -> list[Trial]:
    if len(definition.objectives) == 1:
        best = searches.best_of(connection, search.id, definition.objectives[0].goal)
        return [_trial(best, {})] if best else []
    found = {
        trial.number: trial
        for trial in searches.trials_of(connection, search.id)
        if trial.state is TrialState.COMPLETED and trial.scores
    }
    scores = [(number, trial.scores or []) for number, trial in found.items()]
    return [_trial(found[number], {}) for number in front(scores, definition.objectives)]


def _row(search: SearchRecord, definition: Definition, counts: dict[str, int]) -> SearchRow:
    budget = definition.budget
    return {
        "name": search.name,
        "kind": "search",
        "project": search.project,
        "user": search.user,
        "state": search.state.value,
        "message": search.message,
        "sampler": definition.sampler.name,
        "pruner": definition.pruner.name if definition.pruner else None,
        "objectives": [
            {"metric": one.metric, "goal": one.goal, "value": one.which}
            for one in definition.objectives
        ],
        "counts": cast("TrialCounts", {**_NOTHING, **counts, "total": sum(counts.values())}),
        "budget": {
            "trials": budget.trials, "seconds": budget.seconds, "gpu_hours": budget.gpu_hours,
        },
        "spent": {"trials": 0, "seconds": 0.0, "gpu_hours": 0.0},
        "concurrency": definition.concurrency,
        "best": None,
        "created_at": search.created_at,
        "finished_at": search.finished_at,
    }  # fmt: skip


def _trial(trial: TrialRecord, now: dict[str, tuple[str, float | None]]) -> Trial:
    state, started_at = trial.state.value, trial.started_at
    if trial.state is TrialState.OPEN:
        job_state, started_at = now.get(trial.job_id, ("running", None))
        state = "queued" if job_state == "queued" else "running"
    return {
        "number": trial.number,
        "job_id": trial.job_id,
        "state": state,
        "params": finite(trial.point),
        "values": finite(trial.scores),
        "message": trial.message,
        "created_at": trial.created_at,
        "started_at": started_at,
        "finished_at": trial.finished_at,
    }


def _loop(loop: dict[str, Any]) -> SearchRow:
    counts: dict[str, int] = {}
    for state, reason, count in loop["counts"]:
        word = "running" if state in ("starting", "running", "stopping") else state
        word = "pruned" if state == "stopped" and reason == "pruned" else word
        counts[word] = counts.get(word, 0) + count
    going_on = counts.get("running", 0) + counts.get("queued", 0)
    total = sum(counts.values())
    return {
        "name": loop["name"],
        "kind": "loop",
        "project": loop["project"],
        "user": loop["user"],
        "state": "running" if going_on else "completed",
        "message": None,
        "sampler": None,
        "pruner": None,
        "objectives": [],
        "counts": cast("TrialCounts", {**_NOTHING, **counts, "total": total}),
        "budget": {"trials": None, "seconds": None, "gpu_hours": None},
        "spent": {"trials": total, "seconds": 0.0, "gpu_hours": 0.0},
        "concurrency": None,
        "best": None,
        "created_at": loop["created_at"],
        "finished_at": None if going_on else loop["finished_at"],
    }
