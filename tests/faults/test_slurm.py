"""Slurm in trouble, and what a site's people do to jobs: with a real cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive
from tests.slurm import SlurmCluster

from atlas_server.config import ServerConfig
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import read_executors
from atlas_server.executors.registry import clusters_of
from atlas_server.services.places import Places
from foundations.contract.spec import JobSpec
from foundations.errors import Refused

pytestmark = pytest.mark.slurm

WAIT = """
import os, sys, time
print("up " + os.environ["SLURMD_NODENAME"], flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, private_slurm: SlurmCluster
) -> Iterator[LiveServer]:
    environment = {"SLURM_CONF": str(private_slurm.conf)}
    settings: dict[str, object] = {"executors": "local,slurm", "lease": 3}
    server = LiveServer(tmp_path_factory.mktemp("faults"), 2, settings, environment)
    config = server.home / "config" / "server.config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("executors: {local: , slurm: {poll: 0.2}}")
    with server:
        yield server


@pytest.fixture(scope="module")
def cluster(private_slurm: SlurmCluster) -> SlurmCluster:
    return private_slurm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("project") / "project", wait=WAIT)


def number_of(cluster: SlurmCluster, job: str) -> str:
    """Slurm's number of a job's newest attempt; empty where it has none yet."""
    listed = cluster.command("squeue", "-h", "-t", "all", "-O", "JobID:|,Comment:|")
    rows = [line.split("|") for line in listed.splitlines()]
    return ["", *(number for number, comment, *_ in rows if comment == job)][-1]


def node_of(server: LiveServer, job: str) -> str:
    """The node on which a job's newest attempt says that it runs."""
    return server.has_logged(job, b"up ").decode().rpartition("up ")[2].split()[0]


def test_slurm_says_what_it_would_refuse_and_where_jobs_may_run(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    def refusal(*options: str) -> str:
        done = server.cli("submit", *options, "scheduler", str(folder), "wait.py", "/")
        assert done.code == 1, done
        return done.err

    assert "asks for the partition 'nope'; there is main, small" in refusal("--partition", "nope")
    assert "Invalid feature specification" in refusal("--constraint", "a100")
    assert "Requested node configuration is not available" in refusal(
        "--executor", "slurm", "--num-cpus", "99"
    )
    assert "0.5 of a GPU" in refusal("--executor", "slurm", "--num-gpus", "0.5")
    assert "names an image" in refusal("--executor", "slurm", "--image", "python:3.12")
    assert "There is no executor 'slrum' here. Did you mean 'slurm'?" in refusal(
        "--executor", "slrum"
    )
    assert "--time is not for a job to set" in refusal("--sbatch=--time=5")
    job = server.send(
        folder,
        "wait.py",
        "/",
        cluster={"partition": "small", "sbatch": ["--nice=7"]},
        timeout=120,
    )
    server.completed(job)
    assert node_of(server, job) == "n2"
    (attempt,) = server.job(job)["attempt_list"]
    assert (attempt["executor"], attempt["allocation"]["node"]) == ("slurm", "slurm/n2")
    told = cluster.command("scontrol", "show", "job", number_of(cluster, job))
    assert "Partition=small" in told
    assert "Nice=7" in told
    assert "TimeLimit=00:12:00" in told
    assert "Requeue=0" in told
    anywhere = server.send(
        folder, "wait.py", "/", executor="local", environment={"SLURMD_NODENAME": "x"}
    )
    assert server.completed(anywhere)["attempt_list"][0]["executor"] == "local"


def test_a_process_that_does_not_schedule_asks_slurm_as_well(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    executors = read_executors({"slurm": {"conf": str(cluster.conf)}})
    config = ServerConfig(home=tmp_path, executors=executors)
    node = Node("slurm/n1", 16.0, 8000 << 20, executor="slurm")
    places = Places(lambda: [node], {}, clusters_of(config, 0o77, "instance", "secret"))
    spec = JobSpec("project", "digest", ["main.py"], user="tester", executor="slurm")
    assert places.settled(spec) == spec
    with pytest.raises(Refused, match="Invalid feature specification"):
        places.settled(replace(spec, executor=None, cluster={"constraint": "a100"}))


def test_a_job_that_is_cancelled_in_slurm_says_so(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    job = server.send(folder, "wait.py", str(tmp_path / "never"), executor="slurm")
    server.has_logged(job, b"up")
    cluster.command("scancel", number_of(cluster, job))
    ended = server.ended(job)
    assert (ended["state"], ended["reason"]) == ("failed", "preempted")


def test_slurms_time_limit_is_no_accident(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    """Slurm warns the runner, which has time to keep what the job made."""
    job = server.send(folder, "wait.py", str(tmp_path / "never"), executor="slurm")
    server.has_logged(job, b"up")
    cluster.command("scancel", "--batch", "--signal=USR1", number_of(cluster, job))
    ended = server.ended(job)
    assert (ended["state"], ended["reason"]) == ("failed", "timed_out")
    assert "time limit" in ended["message"]


def test_a_job_that_waits_in_slurm_is_stopped_there(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    cluster.command("scontrol", "update", "partitionname=small", "state=down")
    try:
        job = server.send(folder, "wait.py", "/", cluster={"partition": "small"})
        number = server.wait_for(lambda: number_of(cluster, job), "job in Slurm")
        why = "Waits in Slurm: its partition is down (PartitionDown)."
        server.wait_for(lambda: server.job(job)["message"] == why, "the reason")
        assert f"starting: {why}" in server.cli("show", job).out
        assert why in server.cli("queue").out
        assert "starting (waits)" in server.cli("list").out
        # It is found again by a server that knew it only as waiting.
        server.kill()
        server.restart()
        server.api().stop(job)
        ended = server.ended(job)
        assert (ended["state"], ended["reason"]) == ("stopped", "stop_requested")
        state = cluster.command("squeue", "-h", "-t", "all", "-j", number, "-O", "State:|")
        assert state.strip() == "CANCELLED|"
    finally:
        cluster.command("scontrol", "update", "partitionname=small", "state=up")


def test_jobs_live_through_a_controller_that_is_away(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    running = server.send(folder, "wait.py", str(flag), executor="slurm")
    server.has_logged(running, b"up")
    cluster.kill("slurmctld", signal.SIGTERM)
    submitted = server.send(folder, "wait.py", "/", executor="slurm")
    flag.touch()
    assert server.completed(running)["attempts"] == 1
    assert server.job(submitted)["state"] in ("queued", "starting")
    cluster.start_controller()
    assert server.completed(submitted)["attempts"] == 1
    cluster.wait(lambda: set(cluster.states().values()) == {"idle"})


def tasks_of(cluster: SlurmCluster) -> list[str]:
    """The tasks of arrays."""
    form = "ArrayJobID:_,ArrayTaskID:|,Name:"
    listed = cluster.command("squeue", "-h", "-r", "-t", "all", "-O", form)
    return [line.partition("|")[0] for line in listed.splitlines() if "-array-" in line]


def test_jobs_that_wait_together_are_tasks_of_one_array(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    """They are stopped, cancelled and begun anew one by one, and found by a server that is new."""
    flag = tmp_path / "flag"
    small = {"partition": "small"}
    server.completed(server.send(folder, "wait.py", "/", cluster=small))
    cluster.command("scontrol", "update", "partitionname=small", "state=down")
    try:
        cluster.kill("slurmctld", signal.SIGTERM)
        jobs = [server.send(folder, "wait.py", str(flag), cluster=small) for _ in range(5)]
        for job in jobs:
            server.wait_for(lambda job=job: server.job(job)["state"] == "starting", "start")
        cluster.start_controller()
        tasks = server.wait_for(lambda: tasks_of(cluster), "array")
        # The first one was on its way, alone, when the others came.
        assert len(tasks) >= 4
        assert len({number.partition("_")[0] for number in tasks}) == 1
        server.kill()
        server.restart()
        server.api().stop(jobs[1])
        assert server.ended(jobs[1])["reason"] == "stop_requested"
    finally:
        cluster.command("scontrol", "update", "partitionname=small", "state=up")
    for job in (jobs[0], *jobs[2:]):
        server.has_logged(job, b"up")
    server.api().stop(jobs[2])
    ended = server.ended(jobs[2])
    assert (ended["reason"], ended["exit_code"]) == ("stop_requested", 143)
    own = server.job(jobs[3])["attempt_list"][0]["handle"].rpartition("-")[2]
    (task,) = (number for number in tasks if number.endswith(f"_{own}"))
    cluster.command("scontrol", "update", f"jobid={task}", "requeue=1")
    cluster.command("scontrol", "requeue", task)
    cluster.command("scontrol", "update", f"jobid={task}", "starttime=now")
    assert server.ended(jobs[3])["reason"] == "preempted"
    flag.touch()
    for job in (jobs[0], jobs[4]):
        ended = server.completed(job)
        assert (ended["attempts"], ended["message"]) == (1, None)


def test_a_lost_node_loses_no_job_and_its_late_word_is_kept_apart(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    """While its runner is heard of the job lives, whatever Slurm says; then it runs elsewhere."""
    flag = tmp_path / "flag"
    job = server.send(folder, "wait.py", str(flag), executor="slurm", retries=1)
    node = node_of(server, job)
    (worker,) = server.workers(job)
    runner = psutil.Process(worker).ppid()
    cluster.kill(f"slurmd-{node}")
    cluster.command("scontrol", "update", f"nodename={node}", "state=down", "reason=fan")
    shown = server.wait_for(
        lambda: [
            each
            for each in server.api().server()["nodes"]
            if each["name"] == f"slurm/{node}" and not each["accepting"]
        ],
        "node that is down",
    )
    assert shown[0]["condition"] == "down: fan"
    assert server.job(job)["state"] == "running"
    for process in (runner, worker):
        os.kill(process, signal.SIGSTOP)
    try:
        server.wait_for(lambda: server.job(job)["attempts"] == 2, "second attempt")
        first = server.job(job)["attempt_list"][0]
        assert (first["reason"], first["exit_code"]) == ("lost", None)
        assert f"lost the node {node}" in first["message"]
        assert node_of(server, job) != node
    finally:
        flag.touch()
        os.kill(worker, signal.SIGCONT)
        server.wait_for(lambda: not is_alive(worker))
        os.kill(runner, signal.SIGCONT)
    assert server.completed(job)["attempt_list"][1]["exit_code"] == 0
    late = server.wait_for(lambda: server.job(job)["attempt_list"][0]["late_result"], "late result")
    assert late["exit_code"] == 0
    cluster.start_node(node)
    cluster.command("scontrol", "update", f"nodename={node}", "state=resume")
