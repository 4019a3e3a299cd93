"""Pilots in trouble, on a real Slurm: what they carry is never lost, nor run twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive, kill_process
from tests.slurm import SlurmCluster

pytestmark = pytest.mark.slurm

PILOTS = {"most": 2, "cpus": 4, "idle": 600}
WAIT = """
import os, sys, time
print("up", os.environ["SLURM_JOB_ID"], os.environ["SLURMD_NODENAME"], flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def cluster(private_slurm: SlurmCluster) -> SlurmCluster:
    return private_slurm


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cluster: SlurmCluster) -> Iterator[LiveServer]:
    settings: dict[str, object] = {"executors": "slurm", "lease": 3}
    environment = {"SLURM_CONF": str(cluster.conf)}
    server = LiveServer(tmp_path_factory.mktemp("pilots"), 2, settings, environment)
    config = server.home / "config" / "server.config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"executors": {"slurm": {"pilots": PILOTS, "poll": 0.2}}}))
    with server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("project") / "project", wait=WAIT)


def place_of(server: LiveServer, job: str) -> tuple[str, str]:
    """Slurm's number of the batch job that a job's newest attempt runs in, and the node."""
    told = server.has_logged(job, b"up ").decode().rpartition("up ")[2].split()
    return told[0], told[1]


def pilot_of(server: LiveServer, job: str) -> psutil.Process:
    """The pilot that carries a job."""
    (worker,) = server.workers(job)
    return next(
        process
        for process in psutil.Process(worker).parents()
        if "atlas_runner.pilot" in process.cmdline()
    )


def test_jobs_share_a_pilot_and_one_is_stopped_alone(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    first, second = (server.send(folder, "wait.py", str(flag)) for _ in range(2))
    own = server.send(folder, "wait.py", str(flag), cluster={"pilot": False})
    number, _ = place_of(server, first)
    assert place_of(server, second)[0] == number
    assert place_of(server, own)[0] != number
    server.api().stop(first)
    assert server.ended(first)["state"] == "stopped"
    assert server.job(second)["state"] == "running"
    flag.touch()
    server.completed(second)
    server.completed(own)


def test_a_pilot_that_dies_takes_its_jobs_with_it_and_they_run_again(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    jobs = [server.send(folder, "wait.py", str(flag), retries=1) for _ in range(2)]
    places = [place_of(server, job) for job in jobs]
    workers = [pid for job in jobs for pid in server.workers(job)]
    kill_process(pilot_of(server, jobs[0]).pid)
    for job in jobs:
        server.wait_for(lambda job=job: server.job(job)["attempts"] >= 2, "second attempt")
    assert {place_of(server, job)[0] for job in jobs}.isdisjoint(number for number, _ in places)
    assert not any(map(is_alive, workers))
    flag.touch()
    for job in jobs:
        # One that was given to the dead pilot, and never began, is no try.
        first, *_, last = server.completed(job)["attempt_list"]
        assert first["reason"] in ("lost", "preempted")
        assert last["exit_code"] == 0


def test_a_pilot_that_is_cancelled_ends_its_jobs_in_their_own_time(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    job = server.send(folder, "wait.py", str(tmp_path / "never"))
    number, _ = place_of(server, job)
    cluster.command("scancel", number)
    ended = server.ended(job)
    assert (ended["state"], ended["reason"]) == ("failed", "preempted")
    assert ended["attempt_list"][0]["exit_code"] is not None, "its runner has told the end itself"


def test_a_pilot_on_a_lost_node_loses_no_job(
    server: LiveServer, cluster: SlurmCluster, folder: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    job = server.send(folder, "wait.py", str(flag), retries=1)
    _, node = place_of(server, job)
    # The pilot before may have ended with the job in its hands, which had not begun.
    tries = server.job(job)["attempts"]
    (worker,) = server.workers(job)
    frozen = [worker, psutil.Process(worker).ppid(), pilot_of(server, job).pid]
    cluster.kill(f"slurmd-{node}")
    cluster.command("scontrol", "update", f"nodename={node}", "state=down", "reason=fan")
    for process in frozen:
        os.kill(process, signal.SIGSTOP)
    try:
        server.wait_for(lambda: server.job(job)["attempts"] > tries, "next attempt")
        assert place_of(server, job)[1] != node
    finally:
        flag.touch()
        for process in frozen:
            os.kill(process, signal.SIGCONT)
    assert server.completed(job)["attempt_list"][tries - 1]["reason"] == "lost"
    cluster.start_node(node)
    cluster.command("scontrol", "update", f"nodename={node}", "state=resume")
