"""`import foundations`: every name is there, and nothing happens."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import foundations

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
    assert modules & set(foundations.__all__) == {"parameters"}


def test_names_stay_functions_whatever_is_imported_later():
    program = """
import foundations
from foundations import log_metric
import foundations.tracking, foundations.context, foundations.parameters
import foundations.parameters.generate_random_parameters
assert foundations.log_metric is log_metric
assert callable(foundations.generate_random_parameters)
assert callable(foundations.parameters.generate_random_parameters.generate_random_parameters)
"""
    run_python(program)


def test_the_module_paths_of_older_versions_work():
    from foundations.parameters.generate_random_parameters import generate_random_parameters

    assert foundations.generate_random_parameters is generate_random_parameters
    assert (
        foundations.parameters.generate_random_parameters.generate_random_parameters
        is generate_random_parameters
    )


def test_importing_loads_nothing_else_and_leaves_the_process_alone(tmp_path):
    program = """
import os, sys
before = set(sys.modules)
hook = sys.excepthook
import foundations
new = {name for name in set(sys.modules) - before if not name.startswith("__editable__")}
assert new <= {"foundations", "foundations._version", "__future__"}, new
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
