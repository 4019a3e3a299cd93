"""The handle of a submitted job: every method, at every point of a job's life."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

import foundations
from foundations.errors import NotFound, Refused
from foundations.job import Deployment
from foundations.sending import new_job_id

SCRIPT = """
import os, sys, time, foundations
foundations.log_params({"depth": 3, "deep": {"rate": float("nan")}})
foundations.log_metric("loss", [3.0, 1.0, float("inf")])
foundations.set_tag("kind", "test")
print("began", flush=True)
while not os.path.exists("end"): time.sleep(0.01)
print("last line")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


@pytest.fixture
def here(server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process is a program that submits to the server."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def end(server: LiveServer, job: Deployment) -> None:
    (server.home / "work" / job.job_name() / "1" / "job" / "end").touch()


def test_a_job_from_its_handle(server: LiveServer, here: Path) -> None:
    make_folder(here / "p", main=SCRIPT)
    job = foundations.submit(job_dir="p", command="main.py", name="named", project_name="handles")
    assert isinstance(job, foundations.DeploymentWrapper)
    server.has_logged(job.job_name(), b"began")
    assert not job.is_job_complete()
    assert job.get_job_status() == job.get_true_job_status() == job.state() == "running"
    assert job.get_job_logs().endswith("began\n")
    for call in (
        lambda: job.wait_for_deployment_to_complete(1, False, timeout=0.2),
        lambda: job.get_job_details(timeout=0.2),
        lambda: job.get_metric("loss", timeout=0.2),
        lambda: job.get_param("depth", timeout=0.2),
        lambda: list(job.stream_job_logs(timeout=0.2)),
    ):
        with pytest.raises(TimeoutError, match="not over yet"):
            call()
    end(server, job)
    job.wait_for_deployment_to_complete()
    assert list(job.stream_job_logs())[-2:] == ["began", "last line"]
    assert job.is_job_complete()
    assert (job.get_job_status(), job.get_true_job_status()) == ("completed", "completed")
    details = job.get_job_details()
    rate = details["parameters"].pop("deep_rate")
    assert math.isnan(rate)
    started, completed = details.pop("start_time"), details.pop("completed_time")
    assert isinstance(started, datetime.datetime)
    assert started.tzinfo is None
    assert started <= completed
    assert details.pop("creation_time") <= started.replace(tzinfo=datetime.UTC).timestamp()
    assert details == {
        "project_name": "handles", "job_id": job.job_name(), "user": details["user"],
        "status": "completed", "metrics": {"loss": math.inf}, "parameters": {"depth": 3},
        "tags": ["kind"],
    }  # fmt: skip
    assert job.get_metric("loss") == math.inf
    assert job.get_param("depth") == 3
    with pytest.raises(KeyError, match=r"no metric 'lost'\. Known: loss"):
        job.get_metric("lost")
    with pytest.raises(KeyError, match=r"no parameter 'width'\. Known: deep_rate, depth"):
        job.get_param("width")
    with pytest.raises(Refused):
        job.stop()


def test_a_stopped_job_counts_as_failed(server: LiveServer, here: Path) -> None:
    make_folder(here / "p", main=SCRIPT)
    job = foundations.submit(job_directory="p", command=["main.py"])
    server.has_logged(job.job_name(), b"began")
    job.stop()
    assert job.get_job_details()["status"] == "failed"
    assert (job.get_job_status(), job.get_true_job_status()) == ("completed", "failed")
    assert job.state() == "stopped"


def test_a_job_that_is_deleted_or_was_never_there_is_not_waited_for(
    server: LiveServer, here: Path
) -> None:
    make_folder(here / "p", main="print('x')")
    gone = foundations.submit(job_dir="p", command="main.py")
    gone.wait_for_deployment_to_complete(log_output=False)
    server.api().delete(gone.job_name())
    for job in (gone, Deployment(new_job_id())):
        assert job.get_job_status() is None
        assert job.get_true_job_status() is None
        assert not job.is_job_complete()
        for call in (
            job.wait_for_deployment_to_complete,
            job.get_job_logs,
            job.get_job_details,
            job.stop,
            lambda job=job: list(job.stream_job_logs()),
            lambda job=job: job.get_metric("m"),
        ):
            with pytest.raises(NotFound, match="There is no job"):
                call()


def test_one_handle_serves_many_threads(server: LiveServer, here: Path) -> None:
    make_folder(here / "p", main=SCRIPT)
    job = foundations.submit(job_dir="p", command="main.py")
    server.has_logged(job.job_name(), b"began")

    def ask(number: int) -> str:
        lines = job.stream_job_logs() if number % 4 == 0 else None
        first = next(lines) if lines else "="
        assert first.startswith("=")
        assert job.state() == "running"
        return job.get_job_logs()

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(64)))) == 1
    end(server, job)
    job.wait_for_deployment_to_complete()


def test_logs_are_streamed_where_it_is_asked_for(
    server: LiveServer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(here / "p", main="print('streamed')")
    foundations.submit(job_dir="p", command="main.py", stream_job_logs=True)
    assert capsys.readouterr().out.endswith("streamed\n")
    with pytest.raises(TypeError, match="no keyword argument"):
        foundations.submit(job_folder="p")  # type: ignore[call-arg]
