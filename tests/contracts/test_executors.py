"""What every executor keeps to, over the real engine of each: a real server, real jobs."""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive, kill_process
from tests.ray import serving

from foundations.sending import new_job_id

MAIN = """
import json, os, sys, time
import foundations
print("begins", flush=True)
foundations.log_metric("loss", 0.5)
open("made.txt", "w").write("made")
print(json.dumps({
    "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "node": os.environ.get("SLURMD_NODENAME"),
}), flush=True)
"""
WAIT = """
import os, signal, sys, time
if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
told = [str(os.environ.get(name)) for name in ("CUDA_VISIBLE_DEVICES", "SLURMD_NODENAME")]
print("up " + " ".join(told), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
"""
EXIT = """
import os, signal, sys
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.argv[1]))
"""


PILOTS = {"most": 2, "cpus": 16, "gpus": 2, "idle": 5}
EXECUTORS = [
    "local",
    pytest.param("slurm", marks=pytest.mark.slurm),
    pytest.param("slurm-pilots", marks=pytest.mark.slurm),
    pytest.param("ray", marks=pytest.mark.ray),
    pytest.param("ray-pilots", marks=pytest.mark.ray),
]


@pytest.fixture(scope="module", params=EXECUTORS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server with one executor."""
    name, root = request.param.partition("-")[0], tmp_path_factory.mktemp(request.param)
    pilots = PILOTS if request.param.endswith("-pilots") else False
    if name == "ray":
        server = serving(request.getfixturevalue("ray"), root, pilots=pilots)
    else:
        environment: dict[str, str] = {}
        said: dict[str, object] = {}
        if name == "slurm":
            environment["SLURM_CONF"] = str(request.getfixturevalue("slurm").conf)
            said = {"pilots": pilots, "poll": 0.2}
        settings: dict[str, object] = {"executors": name, "gpus": 2, "grace": 2}
        server = LiveServer(root, 16, settings, environment)
        config = server.home / "config" / "server.config.yaml"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"executors": {name: said}}))
    with server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project") / "project"
    return make_folder(place, main=MAIN, wait=WAIT, exit=EXIT)


def test_a_job_runs_and_all_of_it_comes_back(server: LiveServer, folder: Path) -> None:
    job = server.completed(server.send(folder, "main.py"))
    (attempt,) = job["attempt_list"]
    assert attempt["executor"] == server.env["ATLAS_EXECUTORS"]
    assert attempt["exit_code"] == 0
    assert b"begins" in server.job_log(job["job_id"])
    assert job["outputs"] is not None
    assert list(job["metrics"]) == ["loss"]
    known = {node["name"] for node in server.api().server()["nodes"]}
    assert attempt["allocation"]["node"] in known


def test_ends_are_told_as_they_were(server: LiveServer, folder: Path) -> None:
    said = {"7": (7, "code 7"), "kill": (137, "SIGKILL")}
    jobs = {code: server.send(folder, "exit.py", code) for code in said}
    for code, (exit_code, message) in said.items():
        job = server.ended(jobs[code])
        assert (job["state"], job["reason"]) == ("failed", "nonzero_exit")
        assert job["exit_code"] == exit_code
        assert message in job["message"]


def test_jobs_have_gpus_of_their_own(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    one = {"cpus": 1, "gpus": 1}
    jobs = [server.send(folder, "wait.py", str(flag), resources=one) for _ in range(2)]
    seen = [server.has_logged(job, b"up").partition(b"up ")[2].split()[:2] for job in jobs]
    assert seen[0] != seen[1], "the same device twice"
    assert all(devices.isdigit() for devices, _ in seen), seen
    shown = {job: told[0].decode() for job, told in zip(jobs, seen, strict=True)}
    server.wait_for(lambda: used_gpus(server) == shown, "the devices that the jobs have")
    flag.touch()
    for job in jobs:
        server.completed(job)
    none = server.send(folder, "main.py")
    both = server.completed(server.send(folder, "main.py", resources={"cpus": 1, "gpus": 2}))
    told = json.loads(server.job_log(both["job_id"]).splitlines()[-1])
    assert sorted(told["gpus"].split(",")) == ["0", "1"]
    server.completed(none)
    assert json.loads(server.job_log(none).splitlines()[-1])["gpus"] in ("", None)


def used_gpus(server: LiveServer) -> dict[str, str]:
    """The numbers of the devices that jobs are said to have, by job."""
    nodes = server.api().server()["nodes"]
    devices = [gpu for node in nodes for gpu in node["gpus"]]
    return {job: gpu["uuid"].rpartition(":")[2] for gpu in devices for job in gpu["jobs"]}


def test_jobs_are_stopped(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    never = str(tmp_path / "never")
    jobs = [server.send(folder, "wait.py", never, kind) for kind in ("willing", "stubborn")]
    for job in jobs:
        server.has_logged(job, b"up")
    workers = [worker for job in jobs for worker in server.workers(job)]
    for job in jobs:
        server.api().stop(job)
    for job in jobs:
        ended = server.ended(job)
        assert (ended["state"], ended["reason"]) == ("stopped", "stop_requested")
    server.wait_for(lambda: not any(map(is_alive, workers)), "end of the workers")


def test_jobs_are_found_again_by_a_server_that_comes_back(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    """One job ends while the server is away, one goes on, one has only just been begun."""
    flags = [tmp_path / "first", tmp_path / "second"]
    jobs = [server.send(folder, "wait.py", str(flag)) for flag in flags]
    for job in jobs:
        server.has_logged(job, b"up")
    fresh = server.send(folder, "main.py")
    server.kill()
    flags[0].touch()
    server.restart()
    assert server.completed(jobs[0])["attempts"] == 1
    assert server.job(jobs[1])["state"] == "running"
    assert server.completed(fresh)["state"] == "completed"
    server.api().stop(jobs[1])
    assert server.ended(jobs[1])["state"] == "stopped"
    assert server.job(jobs[1])["attempts"] == 1


def test_a_job_whose_runner_dies_is_tried_again(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    job = server.send(folder, "wait.py", str(flag), retries=1)
    server.has_logged(job, b"up")
    (worker,) = server.workers(job)
    kill_process(psutil.Process(worker).ppid())
    server.wait_for(lambda: server.job(job)["attempts"] == 2, "second attempt")
    flag.touch()
    first, second = server.completed(job)["attempt_list"]
    assert first["reason"] == "lost"
    assert second["exit_code"] == 0
    assert not is_alive(worker)


def test_many_jobs_at_once(
    server: LiveServer, folder: Path, request: pytest.FixtureRequest
) -> None:
    # Where each is a job of an engine's own fewer will do; bench/ runs more of them.
    counts = {"local": 60, "slurm": 40, "ray": 3, "ray-pilots": 40, "slurm-pilots": 100}
    count = counts[request.node.callspec.params["server"]]
    spec = {
        "project": "many",
        "bundle": server.job(server.send(folder, "main.py"))["bundle"],
        "command": ["main.py"],
        "interpreter": sys.executable,
        "user": "tester",
        "resources": {"cpus": 1},
    }
    jobs = server.api().submit_batch(
        spec, [{"job_id": new_job_id(), "params": None} for _ in range(count)]
    )
    server.wait_for(
        lambda: (
            collections.Counter(
                job["state"] for job in server.api().jobs(project="many", limit=300)["jobs"]
            )
            == {"completed": count}
        ),
        f"end of {count} jobs",
        100,
    )
    assert len(set(jobs)) == count
