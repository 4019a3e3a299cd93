"""What a search looks for, how, and for how long: read from what people write, and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from atlas_server.domain.query.goals import Goal, goal_of
from atlas_server.domain.query.mistakes import nearest
from atlas_server.domain.search.reading import read_space
from atlas_server.domain.search.shapes import is_list, is_mapping
from atlas_server.domain.search.space import Space
from foundations.contract.request import parse_duration
from foundations.errors import ConfigError, InvalidRequest

Which = Literal["last", "best", "min", "max"]

SAMPLERS = ("grid", "random", "tpe", "cmaes", "qmc", "nsga2", "nsga3", "gp")
PRUNERS = ("median", "percentile", "hyperband", "asha", "patient", "threshold")
_KEYS = frozenset({
    "parameters", "metric", "metrics", "goal", "value", "sampler", "pruner", "concurrency",
    "budget", "stop",
})  # fmt: skip
_MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to make small or large; `which` of its values counts as the trial's."""

    metric: str
    goal: Goal
    which: Which = "last"


@dataclass(frozen=True, slots=True)
class Method:
    """A sampler or pruner: its name, or the dotted name of an Optuna class, and its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a search may take: trials, seconds, hours of one GPU; None: as much as it likes."""

    trials: int | None = None
    seconds: float | None = None
    gpu_hours: float | None = None


@dataclass(frozen=True, slots=True)
class StopRules:
    """When a search is over before its budget is spent.

    `target`: a trial is as good as this. `patience`: so many trials in a row were no better than
    the best. `failures`: so many in a row have failed.
    """

    target: float | None = None
    patience: int | None = None
    failures: int | None = 10


@dataclass(frozen=True, slots=True)
class Definition:
    """A search. `concurrency` None: as many trials at once as the machines take."""

    space: Space
    objectives: tuple[Objective, ...]
    sampler: Method
    pruner: Method | None
    budget: Budget
    stop: StopRules
    concurrency: int | None = None


def read_definition(said: Mapping[str, Any], seed: int = 0) -> Definition:
    """The search that `said` describes; `seed` is its chance's where it names none.

    Raises InvalidRequest.
    """
    _known("", said, _KEYS)
    space = read_space(said.get("parameters"))
    objectives = _objectives(said)
    sampler = _sampler(said.get("sampler"), objectives, seed)
    pruner = _pruner(said.get("pruner"), objectives)
    budget = read_budget(_mapping("budget", said.get("budget")))
    if budget == Budget() and sampler.name != "grid":
        raise InvalidRequest(
            "budget: it is not said when the search is over.",
            "Write, say, budget: {trials: 100}; there are also time and gpu_hours.",
        )
    stop = _stop(_mapping("stop", said.get("stop")), objectives)
    concurrency = read_concurrency(said.get("concurrency"))
    return Definition(space, objectives, sampler, pruner, budget, stop, concurrency)


def read_budget(said: Mapping[str, Any]) -> Budget:
    """A budget; raises InvalidRequest."""
    _known("budget", said, frozenset({"trials", "time", "gpu_hours"}))
    hours = said.get("gpu_hours")
    seconds = None if said.get("time") is None else _duration("budget.time", said["time"])
    return Budget(
        _whole("budget.trials", said.get("trials"), 1_000_000),
        seconds,
        None if hours is None else _positive("budget.gpu_hours", hours),
    )


def read_concurrency(value: Any) -> int | None:
    """How many trials may run at once; raises InvalidRequest."""
    return _whole("concurrency", value, _MOST_AT_ONCE)


def _objectives(said: Mapping[str, Any]) -> tuple[Objective, ...]:
    which = said.get("value", "last")
    if which not in ("last", "best", "min", "max"):
        raise InvalidRequest(f"value: {which!r} is no value of a metric.", "last, best, min, max.")
    metrics = said.get("metrics")
    if (metrics is None) == (said.get("metric") is None):
        raise InvalidRequest(
            "metric: say which metric the search is about.",
            "Write metric: NAME, as the job logs it, or several as metrics: {NAME: max}.",
        )
    if metrics is None:
        metrics = {said["metric"]: said.get("goal")}
    elif "goal" in said:
        raise InvalidRequest(
            "goal: with several metrics each has its own, as metrics: {loss: min}."
        )
    elif is_list(metrics):
        metrics = dict.fromkeys(metrics)
    if not is_mapping(metrics) or not metrics:
        raise InvalidRequest("metrics: write a mapping such as {accuracy: max, latency: min}.")
    return tuple(Objective(_text(name), _goal(name, goal), which) for name, goal in metrics.items())


def _goal(metric: Any, goal: Any) -> Goal:
    words: dict[Any, Goal] = {
        "min": "min", "minimize": "min", "minimise": "min",
        "max": "max", "maximize": "max", "maximise": "max",
    }  # fmt: skip
    if goal is None:
        return goal_of(str(metric), {})
    if goal not in words:
        raise InvalidRequest(f"goal: {goal!r} is neither min nor max.")
    return words[goal]


def _text(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"metric: {name!r} is not the name of a metric.")
    return name


def _method(what: str, said: Any, known: tuple[str, ...]) -> Method:
    if isinstance(said, str):
        said = {"name": said}
    if not is_mapping(said) or not isinstance(said.get("name"), str):
        raise InvalidRequest(
            f"{what}: write a name, or {{name: {known[0]}, ...}} with its arguments."
        )
    name = said["name"]
    if "." not in name and name not in known:
        meant = nearest(name, known)
        hint = f"Did you mean {meant[0]}? " if meant else ""
        raise InvalidRequest(
            f"{what}: there is no {what} {name!r}.",
            f"{hint}Known: {', '.join(known)}, or the dotted name of a class of Optuna's.",
        )
    return Method(name, {str(key): item for key, item in said.items() if key != "name"})


def _sampler(said: Any, objectives: tuple[Objective, ...], seed: int) -> Method:
    if said is None:
        said = "nsga2" if len(objectives) > 1 else "tpe"
    found = _method("sampler", said, SAMPLERS)
    if "." in found.name or found.name == "grid":
        if found.name == "grid" and found.arguments:
            raise InvalidRequest("sampler: grid has no arguments.")
        return found
    if found.name == "random":
        _known("sampler", found.arguments, frozenset({"seed"}))
    return Method(found.name, {"seed": seed, **found.arguments})


def _pruner(said: Any, objectives: tuple[Objective, ...]) -> Method | None:
    if said is None or said == "none":
        return None
    found = _method("pruner", said, PRUNERS)
    if len(objectives) > 1:
        raise InvalidRequest("pruner: with several metrics no trial can be pruned.")
    return found


def _stop(said: Mapping[str, Any], objectives: tuple[Objective, ...]) -> StopRules:
    _known("stop", said, frozenset({"target", "patience", "failures"}))
    if len(objectives) > 1 and (said.get("target") is not None or said.get("patience")):
        raise InvalidRequest("stop: target and patience are for searches with one metric.")
    target = said.get("target")
    if target is not None and (isinstance(target, bool) or not isinstance(target, (int, float))):
        raise InvalidRequest(f"stop.target: {target!r} is not a number.")
    failures = _whole("stop.failures", said["failures"], 1_000_000) if "failures" in said else 10
    return StopRules(target, _whole("stop.patience", said.get("patience"), 1_000_000), failures)


def _mapping(place: str, said: Any) -> Mapping[str, Any]:
    if said is None:
        return {}
    if not is_mapping(said):
        raise InvalidRequest(f"{place}: write a mapping, not {said!r}.")
    return said


def _known(place: str, said: Mapping[str, Any], known: frozenset[str]) -> None:
    for key in said:
        if key not in known:
            meant = nearest(str(key), known)
            raise InvalidRequest(
                f"{place + ': ' if place else ''}unknown key {key!r}.",
                f"Did you mean {meant[0]}?" if meant else f"Known: {', '.join(sorted(known))}.",
            )


def _whole(place: str, value: Any, most: int) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidRequest(f"{place}: {value!r} is not a whole number from 1 to {most}.")
    return value


def _positive(place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequest(f"{place}: {value!r} is not a number.")
    if not 0 < value < math.inf:
        raise InvalidRequest(f"{place}: {value!r} is not above 0 and finite.")
    return float(value)


def _duration(place: str, value: Any) -> float:
    try:
        seconds = parse_duration(value)
    except ConfigError as error:
        raise InvalidRequest(f"{place}: {error.message}", error.hint) from None
    return _positive(place, seconds)
