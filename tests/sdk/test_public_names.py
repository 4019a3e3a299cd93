"""`import foundations`: every name is there, and nothing happens in what is no script."""

from __future__ import annotations

import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import foundations
from foundations.errors import Unreachable

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def run_python(program, **variables):
    environment = {**os.environ, "PYTHONPATH": SOURCE, **variables}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", foundations.__all__)
def test_every_public_name_can_be_used(name):
    assert getattr(foundations, name) is not None
    assert name in dir(foundations)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'foundations' has no attribute 'log_metrik'"):
        foundations.log_metrik  # noqa: B018


def test_no_public_function_has_the_name_of_a_module():
    modules = {module.name for module in pkgutil.iter_modules(foundations.__path__)}
    assert modules & set(foundations.__all__) == {
        "artifacts", "config", "global_state", "job_parameters", "parameters", "projects",
    }  # fmt: skip
    assert all(
        inspect.ismodule(getattr(foundations, name)) for name in modules & set(dir(foundations))
    )


def test_names_stay_functions_whatever_is_imported_later():
    program = """
import foundations
from foundations import log_metric
import foundations.tracking, foundations.context, foundations.parameters
import foundations.parameters.generate_random_parameters
import foundations.artifacts.syncable_directory, foundations.results, foundations.prototype
assert callable(foundations.create_syncable_directory)
assert callable(foundations.artifacts.create_syncable_directory)
assert callable(foundations.set_tensorboard_logdir)
assert foundations.log_metric is log_metric
assert callable(foundations.generate_random_parameters)
assert callable(foundations.parameters.generate_random_parameters.generate_random_parameters)
"""
    run_python(program)


def test_the_module_paths_of_older_versions_work():
    import foundations.artifacts.syncable_directory
    import foundations.prototype
    from foundations.job_parameters import flatten_parameter_dictionary, log_param, log_params
    from foundations.parameters.generate_random_parameters import generate_random_parameters

    assert foundations.projects.set_project_name is foundations.set_project_name
    assert foundations.projects.get_metrics_for_all_jobs is foundations.get_metrics_for_all_jobs
    assert foundations.prototype.get_metrics_for_all_jobs is foundations.get_metrics_for_all_jobs
    assert foundations.job_parameters.load_parameters is foundations.load_parameters
    assert (log_param, log_params) == (foundations.log_param, foundations.log_params)
    assert flatten_parameter_dictionary is foundations.flatten_parameter_dictionary
    assert foundations.artifacts.save_artifact is foundations.save_artifact
    assert (
        foundations.artifacts.create_syncable_directory
        is foundations.artifacts.syncable_directory.create_syncable_directory
        is foundations.create_syncable_directory
    )
    assert foundations.DeploymentWrapper is foundations.Deployment
    assert foundations.generate_random_parameters is generate_random_parameters
    assert (
        foundations.parameters.generate_random_parameters.generate_random_parameters
        is generate_random_parameters
    )


def test_the_job_as_older_versions_ask_for_it(job, monkeypatch):
    from foundations_contrib.global_state import current_foundations_job

    found = current_foundations_job()
    assert (found.job_id, found.project_name, found.user_name) == ("a1b2", "vision", "ada")
    assert found.is_in_running_job()
    assert foundations.current_foundations_job() is found
    monkeypatch.delenv("FOUNDATIONS_ATTEMPT_DIR")
    assert (found.project_name, found.user_name) == ("default", None)
    assert not found.is_in_running_job()
    with pytest.raises(ValueError, match="undefined"):
        found.job_id  # noqa: B018


def test_the_environment_that_submissions_use(outside, monkeypatch):
    monkeypatch.setenv("FOUNDATIONS_HOME", str(outside / "home"))
    monkeypatch.setattr(foundations.config, "_chosen", [])
    with pytest.raises(ValueError, match="There is no scheduler 'lab'"):
        foundations.config.set_environment("lab")
    (outside / "config" / "submission").mkdir(parents=True)
    config = outside / "config" / "submission" / "lab.config.yaml"
    config.write_text("scheduler_url: http://127.0.0.1:1")
    foundations.config.set_environment("lab")
    assert foundations.config.wanted_scheduler(None).name == "lab"
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 "):
        foundations.get_metrics_for_all_jobs("any")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"ram": 0}, "memory"),
        ({"ram": -1}, "memory"),
        ({"num_gpus": -1}, "negative"),
        ({"num_gpus": 1.5}, "whole"),
        ({"num_gpus": "1"}, "number"),
        ({"num_gpus": True}, "number"),
    ],
)
def test_what_no_job_can_ask_for_is_a_value_error(asked, complaint):
    with pytest.raises(ValueError, match=complaint):
        foundations.set_job_resources(**asked)


def test_importing_loads_nothing_else_and_leaves_the_process_alone(tmp_path):
    program = """
import os, sys
before = set(sys.modules)
hook = sys.excepthook
import foundations
new = {name for name in set(sys.modules) - before if not name.startswith("__editable__")}
own = ("", "._version", ".context", ".contract", ".contract.environment", ".execution",
    ".execution.program", ".execution.startup")
others = {"__future__", "contextvars", "_contextvars"}
assert new <= {"foundations" + name for name in own} | others, new
assert sys.excepthook is hook
assert os.listdir(os.environ["FOUNDATIONS_HOME"]) == []
"""
    run_python(
        program,
        FOUNDATIONS_HOME=str(tmp_path),
        FOUNDATIONS_ATTEMPT_DIR=str(tmp_path / "absent"),
    )
    assert list(tmp_path.iterdir()) == []


def test_tracking_needs_the_standard_library_alone(tmp_path):
    program = """
import foundations
foundations.log_metric("m", 1); foundations.log_params({"a": [1]}); foundations.set_tag("t")
open("f", "w").close(); foundations.save_artifact("f")
"""
    (tmp_path / "attempt").mkdir()
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": SOURCE, "FOUNDATIONS_ATTEMPT_DIR": str(tmp_path / "attempt")},
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
