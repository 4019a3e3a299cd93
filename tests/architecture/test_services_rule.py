"""A test whose service is absent is skipped for a developer and fails in CI."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NEEDS_DOCKER = """
import pytest

@pytest.mark.docker
def test_with_docker():
    pass
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_an_absent_service(tmp_path, root, ci, outcome):
    rule = (root / "tests" / "conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(rule, encoding="utf-8")
    (tmp_path / "test_docker.py").write_text(NEEDS_DOCKER, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = docker\n", encoding="utf-8")
    nowhere = f"unix://{tmp_path}/no.sock"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "CI": ci, "DOCKER_HOST": nowhere},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in run.stdout
