"""Parameters: flattening, drawing at random, loading from the job's file."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import foundations
from foundations.errors import ConfigError
from foundations.parameters.generate_random_parameters import generate_random_parameters


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ({}, {}),
        ({"a": 1, "b": "x", "c": None, "d": 0.5}, {"a": 1, "b": "x", "c": None, "d": 0.5}),
        ({"a": True}, {"a": True}),
        ({"a": {}, "b": [], "c": ()}, {"a": None, "b": None, "c": None}),
        ({"a": {"b": {"c": 1}, "d": 2}}, {"a_b_c": 1, "a_d": 2}),
        ({"a": [1]}, {"a_0": 1}),
        ({"a": [[1, 2], {"b": (3,)}]}, {"a_0_0": 1, "a_0_1": 2, "a_1_b_0": 3}),
        ({"a": [None, []]}, {"a_0": None, "a_1": None}),
        ({"a": {1: 2}}, {"a_1": 2}),
        ({"a_b": 1, "a": {"b": 2}}, {"a_b": 2}),
        ({"a": {"b": 2}, "a_b": 1}, {"a_b": 1}),
        ({"a": b"\x01\x02"}, {"a_0": 1, "a_1": 2}),
    ],
)
def test_flattening(nested, flat):
    assert foundations.flatten_parameter_dictionary(nested) == flat


def test_what_cannot_be_flattened_is_named():
    with pytest.raises(TypeError, match='"model_layer" is a object'):
        foundations.flatten_parameter_dictionary({"model": {"layer": object()}})


@given(
    st.dictionaries(
        st.text(alphabet="abc", min_size=1),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
            lambda inner: st.one_of(
                st.lists(inner), st.dictionaries(st.text(alphabet="abc", min_size=1), inner)
            ),
        ),
    )
)
def test_what_is_flat_is_all_scalars_and_stays_as_it_is(nested):
    flat = foundations.flatten_parameter_dictionary(nested)
    assert all(value is None or isinstance(value, (str, int, float)) for value in flat.values())
    assert foundations.flatten_parameter_dictionary(flat) == flat


# --- random parameters -----------------------------------------------------------------------


def test_ranges_are_drawn_and_the_rest_is_kept():
    space = {"lr": {"min": 0.1, "max": 0.2}, "layers": [1, 2], "opt": {"name": "adam"}, "n": 3}
    drawn = generate_random_parameters(space)
    assert 0.1 <= drawn["lr"] <= 0.2
    assert {**drawn, "lr": None} == {**space, "lr": None}


@pytest.mark.parametrize(
    ("fewest", "most"), [("min_count", "max_count"), ("count_min", "count_max")]
)
def test_lists_have_any_length_between_the_counts(fewest, most):
    space = {"sizes": {"min": -1, "max": 1, fewest: 1, most: 3}}
    drawn = [generate_random_parameters(space)["sizes"] for _ in range(200)]
    assert {len(sizes) for sizes in drawn} == {1, 2, 3}
    assert all(-1 <= size <= 1 for sizes in drawn for size in sizes)


def test_equal_bounds_are_fine():
    space = {"a": {"min": 2, "max": 2, "min_count": 2, "max_count": 2}, "b": {"min": 0, "max": 0}}
    assert generate_random_parameters(space) == {"a": [2, 2], "b": 0}


def test_impossible_counts_are_named():
    with pytest.raises(ValueError, match=r'"a".*between 3 and 2'):
        generate_random_parameters({"a": {"min": 0, "max": 1, "min_count": 3, "max_count": 2}})


def test_a_space_must_be_a_dictionary():
    with pytest.raises(TypeError, match="dictionary, not a list"):
        generate_random_parameters([1])


def test_a_seed_repeats_the_draw():
    space = {"a": {"min": 0, "max": 1, "min_count": 0, "max_count": 9}}
    random.seed(7)
    first = generate_random_parameters(space)
    random.seed(7)
    assert foundations.generate_random_parameters(space) == first


# --- loading ---------------------------------------------------------------------------------


def test_the_nested_parameters_are_returned_and_the_flat_ones_logged(job):
    (job.cwd / "foundations_job_parameters.json").write_text(
        '{"a": {"b": [1, 2.5]}, "c": "ü"}', "utf-8"
    )
    assert foundations.load_parameters() == {"a": {"b": [1, 2.5]}, "c": "ü"}
    assert job.params() == {"a_b_0": 1, "a_b_1": 2.5, "c": "ü"}


def test_parameters_need_not_be_logged(job):
    (job.cwd / "foundations_job_parameters.json").write_text('{"a": 1}')
    assert foundations.load_parameters(log_parameters=False) == {"a": 1}
    assert job.events() == []


def test_a_program_that_left_its_folder_still_finds_them(job):
    (job.code_dir / "foundations_job_parameters.json").write_text('{"a": 1}')
    assert foundations.load_parameters() == {"a": 1}
    (job.cwd / "foundations_job_parameters.json").write_text('{"a": 2}')
    assert foundations.load_parameters() == {"a": 2}


def test_no_file_means_no_parameters_unless_they_are_required(job):
    assert foundations.load_parameters() == {}
    with pytest.raises(FileNotFoundError, match=r"foundations_job_parameters\.json"):
        foundations.load_parameters(required=True)
    assert job.events() == []


@pytest.mark.parametrize("text", ["", "\n", "{}"])
def test_an_empty_file_means_no_parameters(job, text):
    (job.cwd / "foundations_job_parameters.json").write_text(text)
    assert foundations.load_parameters(required=True) == {}
    assert job.events() == []


def test_a_malformed_file_is_an_error(job):
    path = job.cwd / "foundations_job_parameters.json"
    path.write_text('{"a": ')
    with pytest.raises(json.JSONDecodeError):
        foundations.load_parameters()
    path.write_text("[1]")
    with pytest.raises(ConfigError, match="one JSON object"):
        foundations.load_parameters()


def test_outside_of_a_job_they_are_loaded_all_the_same(outside, capsys):
    (outside / "foundations_job_parameters.json").write_text('{"a": 1}')
    assert foundations.load_parameters() == {"a": 1}
    assert capsys.readouterr().err == "Foundations WARNING: Script not run with Foundations.\n"
