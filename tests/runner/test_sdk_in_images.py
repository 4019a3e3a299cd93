"""The SDK is mounted into images and works in each of their Pythons, with nothing installed."""

from __future__ import annotations

import os
from pathlib import Path

import docker
import pytest

import foundations
from foundations.journal.reader import JournalReader

# An image may have to be made, with several Pythons in it.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

PROGRAM = """
import sys
import foundations

params = foundations.load_parameters()
foundations.log_metric("loss", 0.5, step=params["epochs"])
foundations.set_tag("python", "%d.%d" % sys.version_info[:2])
foundations.save_artifact(__file__, "program")
"""
EVERY_PYTHON = """
for minor in 8 9 10 11 12 13 14; do
  if command -v python3.$minor >/dev/null; then python3.$minor -W error main.py || exit; fi
done
"""


def run(image: str, folder: Path, *command: str) -> str:
    """Run a command as a job would be run; return what it printed."""
    sdk = str(Path(foundations.__file__).parent)
    client = docker.from_env()
    try:
        output = client.containers.run(
            image,
            list(command),
            remove=True,
            stderr=True,
            user=f"{os.geteuid() + 1}:{os.getegid()}",
            network_mode="none",
            working_dir="/attempt/job",
            volumes={
                sdk: {"bind": "/atlas/run/sdk/foundations", "mode": "ro"},
                str(folder): {"bind": "/attempt", "mode": "rw"},
            },
            environment={
                "PYTHONPATH": "/atlas/run/sdk",
                "FOUNDATIONS_ATTEMPT_DIR": "/attempt",
                "FOUNDATIONS_HOME": "/atlas",
            },
        )
    finally:
        client.close()
    return output.decode()


@pytest.fixture
def attempt(tmp_path) -> Path:
    for name in ("", "job", "journal", "artifacts"):
        (tmp_path / name).mkdir(exist_ok=True)
        # The container's user is a stranger here.
        (tmp_path / name).chmod(0o777)
    (tmp_path / "job" / "main.py").write_text(PROGRAM)
    (tmp_path / "job" / "foundations_job_parameters.json").write_text('{"epochs": 3}')
    return tmp_path


def tags(attempt: Path) -> list[str]:
    """The Pythons that have written into the journal."""
    reader = JournalReader(str(attempt / "journal"))
    events = [event for batch in reader.read(finish=True) for event in batch.events]
    assert reader.broken == []
    return sorted(event["value"] for event in events if event.get("key") == "python")


def test_every_python_of_an_image(image, attempt):
    assert run(image("pythons"), attempt, "sh", "-c", EVERY_PYTHON) == ""
    found = tags(attempt)
    assert "3.14" in found
    assert len(found) == len(set(found))


def test_the_python_of_plain_debian(image, attempt):
    assert run(image("python"), attempt, "python3", "-W", "error", "main.py") == ""
    assert tags(attempt) == ["3.11"]
