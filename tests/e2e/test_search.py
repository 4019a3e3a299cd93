"""Many jobs from one program: submit_many, threads, the table of results."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.live import LiveServer, make_folder

TRAIN = """
import foundations
params = foundations.load_parameters()
foundations.log_metric("loss", params["lr"] * 2)
if params.get("deep"): foundations.log_metric("nan", float("nan"))
foundations.set_tag("kind", "trained")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


def python(server: LiveServer, folder: Path, program: str) -> Any:
    """Run a program in `folder` and return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=server.env,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_table_of_a_project(server: LiveServer, tmp_path: Path) -> None:
    import pandas

    import foundations
    from foundations import config

    code = """
import foundations, sys
params = foundations.load_parameters(log_parameters=False)
if params:
    foundations.log_param("lr", params["lr"] / 3)
    foundations.log_params({"list": [1, 2], "nan": float("nan"), "flag": True, "loss": "l1"})
    foundations.log_metric("loss", [1, 0.1 + 0.2])
    foundations.log_metrics({"nan": float("nan"), "inf": -float("inf"), "text": "a", "user": 3})
    foundations.set_tags({"kind": "trained", "seed": 1})
sys.exit(not params)
"""
    folder = make_folder(tmp_path / "table", main=code)
    empty = server.ended(server.send(folder, "main.py", project="table"))
    params = {"lr": 0.1, "deep": {"a": [1, None]}, "low": float("-inf")}
    full = server.completed(server.send(folder, "main.py", project="table", params=params))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOUNDATIONS_HOME", str(server.home))
        records = foundations.get_metrics_for_all_jobs("table", as_="records")
        frame = foundations.get_metrics_for_all_jobs("table")
        with pytest.raises(ValueError, match="Project `tabel` does not exist"):
            foundations.get_metrics_for_all_jobs("tabel")
        with pytest.raises(ValueError, match="as_ should be one of pandas, polars, records"):
            foundations.get_metrics_for_all_jobs("table", as_="csv")
    assert config.wanted_scheduler(None).name == "scheduler"
    first, second = records
    assert (first["job_id"], second["job_id"]) == (full["job_id"], empty["job_id"])
    columns = list(first)
    for name in ("nan", "param_nan"):
        value = first.pop(name)
        assert math.isnan(value)
    assert first == {
        "project_name": "table", "job_id": full["job_id"], "user": "tester", "status": "completed",
        "start_time": first["start_time"], "completed_time": first["completed_time"],
        "creation_time": full["submitted_at"], "tags": {"kind": "trained", "seed": "1"},
        "lr": 0.1 / 3, "deep_a_0": 1, "deep_a_1": None, "low": -float("inf"),
        "list_0": 1, "list_1": 2, "flag": True, "param_loss": "l1",
        "loss": 0.1 + 0.2, "inf": -float("inf"), "text": "a",
        "metric_user": 3, "tag_kind": "trained", "tag_seed": "1",
    }  # fmt: skip
    begin = datetime.fromisoformat(first["start_time"])
    assert begin.timestamp() == pytest.approx(full["started_at"], abs=1e-3)
    assert list(second) == columns[:8]
    assert second["status"] == "failed"
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == columns
    assert columns[8:] == [
        "deep_a_0", "deep_a_1", "flag", "list_0", "list_1", "param_loss", "low", "lr", "param_nan",
        "inf", "loss", "nan", "text", "metric_user", "tag_kind", "tag_seed",
    ]  # fmt: skip
    assert frame.loss[0] == 0.1 + 0.2
    assert pandas.isna(frame.loss[1])
    assert frame.tags[1] == {}


def test_a_job_that_waits_has_no_times(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "waits", main="pass")
    holder = make_folder(tmp_path / "holds", main="import time\ntime.sleep(100)\n")
    holding = server.send(holder, "main.py", resources={"cpus": 4})
    server.in_state(holding, "running")
    server.send(folder, "main.py", project="waits", resources={"cpus": 4})
    (row,) = python(
        server,
        folder,
        """
import foundations, json
print(json.dumps(foundations.projects.get_metrics_for_all_jobs("waits", as_="records")))
""",
    )
    assert (row["status"], row["start_time"]) == ("queued", "No time available")
    assert row["completed_time"] == "No time available"
    server.api().stop(holding)


def test_many_jobs_in_one_request(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "search", main=TRAIN)
    found = python(
        server,
        folder,
        """
import foundations, json
jobs = foundations.submit_many(
    [{"lr": number, "deep": number == 3} for number in range(20)],
    command="main.py", tags={"sweep": "a"}, project_name="search", num_cpus=0.1,
)
for job in jobs:
    job.wait_for_deployment_to_complete(log_output=False)
print(json.dumps([[job.job_name(), job.get_metric("loss"), job.get_param("lr")] for job in jobs]))
""",
    )
    assert [(loss, lr) for _, loss, lr in found] == [(2 * n, n) for n in range(20)]
    listed = server.api().jobs(project="search")["jobs"]
    assert [job["job_id"] for job in listed] == [job_id for job_id, *_ in found][::-1]
    assert listed[0]["tags"] == {"kind": "trained", "sweep": "a"}
    assert len({job["bundle"] for job in listed}) == 1


def test_a_batch_is_queued_once_and_all_or_none(server: LiveServer, tmp_path: Path) -> None:
    from foundations.errors import InvalidRequest
    from foundations.sending import new_job_id

    folder = make_folder(tmp_path / "batch", main="pass")
    spec = server.job(server.send(folder, "main.py", project="batch"))["spec"]
    jobs = [{"job_id": new_job_id(), "params": {"n": n}} for n in range(3)]
    api = server.api()
    ids = [job["job_id"] for job in jobs]
    for _ in range(2):
        assert api.submit_batch(spec, jobs) == ids
    assert len(api.jobs(project="batch")["jobs"]) == 4
    more = [{"job_id": new_job_id(), "params": {}}, {"job_id": "no ID"}]
    with pytest.raises(InvalidRequest, match="'no ID' is not a job ID"):
        api.submit_batch(spec, more)
    with pytest.raises(InvalidRequest, match="same ID"):
        api.submit_batch(spec, [more[0], more[0]])
    assert len(api.jobs(project="batch")["jobs"]) == 4


def test_submitting_from_many_threads(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "threads", main="print('done')")
    ids = python(
        server,
        folder,
        """
import foundations, json, os
from concurrent.futures import ThreadPoolExecutor

def search(number):
    job = foundations.submit(command=["main.py"], params={"n": number}, num_cpus=0.1)
    job.wait_for_deployment_to_complete(log_output=False, timeout=90)
    assert job.get_param("n") == number
    assert job.get_job_logs().endswith("done\\n")
    return job.job_name()

before = os.getcwd(), dict(os.environ)
with ThreadPoolExecutor(16) as pool:
    ids = list(pool.map(search, range(64)))
assert (os.getcwd(), dict(os.environ)) == before
assert os.listdir(".") == ["main.py"]
print(json.dumps(ids))
""",
    )
    assert len(set(ids)) == 64
    assert len(server.api().jobs(project="threads")["jobs"]) == 64


def test_a_forked_child_submits_over_a_connection_of_its_own(
    server: LiveServer, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "forks", main="pass")
    python(
        server,
        folder,
        """
import foundations, os
foundations.submit(command=["main.py"])
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        for _ in range(5): foundations.submit(command=["main.py"])
        os._exit(0)
    children.append(child)
for _ in range(5): foundations.submit(command=["main.py"])
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
print(1)
""",
    )
    assert len(server.api().jobs(project="forks")["jobs"]) == 21


def test_a_search_goes_on_when_the_server_comes_back_elsewhere(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "search", main="pass")
    program = """
import foundations, sys
for line in sys.stdin:
    print(foundations.submit(command=["main.py"]).job_name(), flush=True)
"""
    with LiveServer(tmp_path, cpus=2) as server:
        with subprocess.Popen(
            [sys.executable, "-c", program], cwd=folder, env=server.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as search:  # fmt: skip
            assert search.stdin is not None
            assert search.stdout is not None
            ids = []
            for _ in range(2):
                search.stdin.write("\n")
                search.stdin.flush()
                ids.append(search.stdout.readline().strip())
                server.kill()
                server.restart()
            search.stdin.close()
        assert [server.completed(job)["state"] for job in ids] == ["completed"] * 2


def test_wrong_keywords_of_a_search_are_named(outside_of_jobs: None) -> None:
    import foundations

    with pytest.raises(TypeError, match="no keyword argument 'num_gpu'"):
        foundations.submit_many([{}], num_gpu=1)
    with pytest.raises(TypeError, match="no keyword argument 'params'"):
        foundations.submit_many([{}], params={})
    with pytest.raises(foundations.errors.ConfigError, match="params must be a dict"):
        foundations.submit_many([3], command="main.py")  # type: ignore[list-item]


@pytest.fixture
def outside_of_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
