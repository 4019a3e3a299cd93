"""The rules of searches: what people may write, which points there are, when it is over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_server.domain.search.definition import Objective, read_definition
from atlas_server.domain.search.grid import points
from atlas_server.domain.search.importance import importance
from atlas_server.domain.search.ports import Known, Study, TrialState
from atlas_server.domain.search.reading import read_space
from atlas_server.domain.search.slots import slots
from atlas_server.domain.search.space import Choice, Range
from atlas_server.domain.search.verdict import Standing, front, verdict
from atlas_server.samplers.registry import make_study
from foundations.contract.spec import Resources
from foundations.errors import InvalidRequest

# As the documentation has it, with conditions and nesting.
SPACE = {
    "epochs": {"min": 5, "max": 40},
    "layer_shapes": {"min": 256, "max": 768, "count_min": 1, "count_max": 3},
    "early_stopping_tolerance": 0.01,
    "batch_size": [64, 128, 1024],
    "learning_rate": {"min": 1e-5, "max": 0.1, "log": True},
    "optimizer": ["adam", "sgd"],
    "momentum": {"min": 0.0, "max": 0.9, "step": 0.3, "when": {"optimizer": "sgd"}},
    "model": {
        "kind": ["conv", "dense"],
        "conv": {"when": {"model.kind": "conv"}, "kernel": [3, 5], "same": {"value": [1]}},
    },
}
SAID: dict[str, Any] = {"parameters": SPACE, "metric": "loss", "budget": {"trials": 9}}


def definition(**changes: Any) -> Any:
    return read_definition({**SAID, **changes}, seed=7)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameters: there is nothing to search in."),
        ({"a": {"min": 1}}, "parameters.a: there is min but no max."),
        ({"a": {"min": 3, "max": 1}}, "parameters.a: min is 3, which is above max, 1."),
        ({"a": {"min": "x", "max": 1}}, "parameters.a: min must be a number, not 'x'."),
        ({"a": {"min": 0, "max": 1, "log": True}}, "a log scale min must be above 0"),
        ({"a": {"min": 1, "max": 2, "log": True, "step": 1}}, "a log scale has no step"),
        ({"a": {"min": 1, "max": 2, "type": "str"}}, "parameters.a: type is 'str'. It is int or"),
        ({"a": {"min": 1.5, "max": 2, "type": "int"}}, "not all of its numbers are whole"),
        ({"a": {"min": 1, "max": 2, "lgo": True}}, "'lgo' means nothing beside max and min. Did"),
        ({"a": {"b": {"min": 1, "max": 2, "count_min": 2}}}, "parameters.a.b: count_min and"),
        ({"a": []}, "parameters.a: choices must be a list, and not empty."),
        ({"a": [1, 2, 1.0]}, "parameters.a: 1.0 is among the choices twice."),
        ({"a": {}}, "parameters.a: an empty mapping says nothing. Write value: {}"),
        ({"a": {"min": 1, "max": 2, "when": {"b": 1}}}, "when names b, which is not searched"),
        ({"b": [1], "a": {"choices": [1], "when": {"b": 2}}}, "when b is 2, which it never is"),
        (
            {n: {"choices": [1], "when": {o: 1}} for n, o in ("ab", "ba")},
            "conditions go in a circle: a -> b -> a.",
        ),
    ],
)
def test_mistakes_in_spaces_are_named_with_their_place(parameters, message):
    with pytest.raises(InvalidRequest) as caught:
        read_space(parameters)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": None}, "metric: say which metric the search is about."),
        ({"goal": "up"}, "goal: 'up' is neither min nor max."),
        ({"sampler": "tpee"}, "there is no sampler 'tpee'. Did you mean tpe?"),
        ({"sampler": "os.path.join"}, "sampler: 'os.path.join' cannot be used."),
        ({"sampler": "optuna.samplers.Nope"}, "sampler: there is no optuna.samplers.Nope"),
        ({"sampler": "optuna.samplers.BaseSampler"}, "sampler: optuna.samplers.BaseSampler: Can"),
        ({"sampler": {"name": "tpe", "sede": 1}}, "sampler: tpe has no argument 'sede'. It has"),
        ({"pruner": {"name": "median", "x": 1}}, "pruner: median has no argument 'x'."),
        ({"metrics": {"a": "min", "b": "max"}, "metric": None, "pruner": "median"}, "no trial can"),
        ({"budget": {}}, "budget: it is not said when the search is over."),
        ({"budget": {"trials": 0}}, "budget.trials: 0 is not a whole number from 1"),
        ({"budget": {"time": "soon"}}, "budget.time: 'soon' is not a duration. Write seconds"),
        ({"stop": {"pateince": 3}}, "stop: unknown key 'pateince'. Did you mean patience?"),
        ({"parametres": 3}, "unknown key 'parametres'. Did you mean parameters?"),
        ({"concurrency": True}, "concurrency: True is not a whole number"),
        ({"sampler": "grid"}, "parameters.learning_rate: a grid search cannot try every value"),
    ],
)
def test_mistakes_in_searches_are_named_with_their_place(changes, message):
    said = {key: value for key, value in {**SAID, **changes}.items() if value is not None}
    with pytest.raises(InvalidRequest) as caught:
        make_study(read_definition(said, seed=7), ())
    assert message in str(caught.value)


def fits(space: Any, point: dict[str, Any]) -> None:
    """The point has exactly the dimensions that count, each within its distribution."""
    counted = [dimension for dimension in space.dimensions if dimension.counts(point)]
    assert list(point) == [dimension.name for dimension in counted]
    for dimension in counted:
        value, of = point[dimension.name], dimension.distribution
        if isinstance(of, Choice):
            assert value in of.values
            continue
        assert isinstance(of, Range)
        assert of.low <= value <= of.high
        assert type(value) is int if of.integer else isinstance(value, float)


def test_what_a_job_gets_is_shaped_like_the_space():
    space = read_space(SPACE)
    point = {
        "epochs": 6, "layer_shapes.count": 2, "layer_shapes.0": 300, "layer_shapes.1": 400,
        "batch_size": 64, "learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.3,
        "model.kind": "conv", "model.conv.kernel": 3, "model.conv.same": [1],
    }  # fmt: skip
    assert space.parameters(point) == {
        "epochs": 6, "layer_shapes": [300, 400], "early_stopping_tolerance": 0.01, "batch_size": 64,
        "learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.3,
        "model": {"kind": "conv", "conv": {"kernel": 3, "same": [1]}},
    }  # fmt: skip
    del point["momentum"], point["model.conv.kernel"], point["model.conv.same"]
    assert space.parameters({**point, "optimizer": "adam", "model.kind": "dense"})["model"] == {
        "kind": "dense"
    }


@pytest.mark.parametrize(
    ("sampler", "more"),
    [
        ("random", {}),
        ("tpe", {}),
        ({"name": "tpe", "multivariate": True, "group": True}, {}),
        ("cmaes", {}),
        ("qmc", {}),
        ("nsga2", {"metric": None, "metrics": {"loss": "min", "size": "max"}}),
        ("optuna.samplers.RandomSampler", {}),
        ("random", {"pruner": "median"}),
    ],
    ids=str,
)
def test_a_study_made_anew_goes_on_without_repeating_itself(sampler, more):
    """A server that was killed asks for the points that come next, not for those that it had."""
    said = {key: value for key, value in {**SAID, **more}.items() if value is not None}
    search = read_definition({**said, "sampler": sampler}, seed=7)
    known: list[Known] = []
    study: Study = make_study(search, known)
    for number in range(30):
        if number in (5, 20):
            study = make_study(search, known)
        point = study.ask(number)
        assert point is not None
        fits(search.space, point)
        assert point not in [trial.point for trial in known]
        scores = [float(number % 7)] * len(search.objectives)
        memo = json.loads(json.dumps(study.memo(number)))
        state = TrialState.OPEN if number in (4, 19) else TrialState.COMPLETED
        if state is TrialState.COMPLETED:
            study.tell(number, state, scores)
        known.append(Known(number, state, point, scores if state != "open" else None, (), memo))
    # What was open when the server died is told to the study made anew.
    study.tell(19, TrialState.FAILED, None)
    assert study.ask(30) is not None


def test_a_grid_has_every_point_once_and_goes_on_where_it_was():
    learning_rate = {**SPACE["learning_rate"], "points": 2}  # type: ignore[dict-item]
    parameters = {
        "learning_rate": learning_rate,
        "m": {"min": 0, "max": 1, "when": {"o": "b"}},
        "o": ["a", "b"],
        "n": {"min": 1, "max": 2, "count_min": 0, "count_max": 1},
    }
    search = definition(parameters=parameters, sampler="grid", budget=None)
    every = list(points(search.space))
    assert len(every) == 2 * (1 + 2) * (1 + 2)
    assert len({json.dumps(point) for point in every}) == len(every)
    known = [Known(n, TrialState.COMPLETED, point, [0.0]) for n, point in enumerate(every[:7])]
    study = make_study(search, known)
    assert [study.ask(n) for n in range(7, 20)] == [*every[7:], None, None]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_the_front_is_what_no_other_trial_beats(scores):
    objectives = [Objective("a", "min"), Objective("b", "max")]
    found = front(list(enumerate(scores)), objectives)

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    assert found == [
        number for number, own in enumerate(scores) if not any(beats(o, own) for o in scores)
    ]


def standing(search: Any, *ends: tuple[TrialState, float | None], **more: Any) -> Standing:
    found = Standing(started=len(ends), **more)
    for state, score in ends:
        found.note(state, score, search.objectives[0])
    return found


def test_when_a_search_is_over():
    done, failed, pruned = TrialState.COMPLETED, TrialState.FAILED, TrialState.PRUNED
    plain = definition(budget={"trials": 3, "time": "1h", "gpu_hours": 2})
    assert verdict(plain, standing(plain, (done, 1), (done, 2))) is None
    for over in (
        standing(plain, (done, 1), (done, 2), (done, 3)),
        standing(plain, seconds=3600.0),
        standing(plain, gpu_hours=2.0),
    ):
        why = verdict(plain, over)
        assert why is not None
        assert not why.at_once
        assert not why.failed
    patient = definition(stop={"patience": 2, "target": -5, "failures": 2})
    assert verdict(patient, standing(patient, (done, 1), (done, 2), (failed, None))) is None
    bored = verdict(patient, standing(patient, (done, 1), (done, 2), (failed, None), (pruned, 0)))
    assert bored is not None
    assert bored.at_once
    reached = verdict(patient, standing(patient, (done, -5)))
    assert reached is not None
    assert "loss reached -5" in reached.why
    broken = verdict(patient, standing(patient, (failed, None), (failed, None)))
    assert broken is not None
    assert broken.failed


def test_what_matters_is_told_from_what_does_not():
    parameters = {name: {"min": 0.0, "max": 1.0} for name in "xy"} | {"k": [1, 2]}
    chance = make_study(definition(sampler="random", parameters=parameters), ())
    trials = [(point, (point["x"] - 0.5) ** 2) for n in range(80) if (point := chance.ask(n))]
    found = importance(read_space(parameters), trials)
    assert next(iter(found)) == "x"
    assert found["x"] > 0.8
    assert sum(found.values()) <= 1
    assert importance(read_space(parameters), trials[:5]) == {}


def test_as_many_trials_at_once_as_the_machines_take():
    from atlas_server.domain.resources import Gpu, Node

    gpus = tuple(Gpu(f"GPU-{n}", "A", 1 << 30) for n in range(4))
    nodes = [Node("a", 8.0, 16 << 30, gpus), Node("b", 3.0, 64 << 30)]
    assert slots(Resources(2.0, None, 0.0), nodes) == 5
    assert slots(Resources(1.0, 8 << 30, 0.0), nodes) == 5
    assert slots(Resources(1.0, None, 0.5), nodes) == 8
    assert slots(Resources(1.0, None, 2.0), nodes) == 2
    assert slots(Resources(100.0, None, 0.0), nodes) == 1
