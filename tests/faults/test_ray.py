"""A Ray cluster that grows, loses a node and forgets nothing: with a real one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest
from tests.contracts.test_executors import WAIT
from tests.live import LiveServer, make_folder
from tests.processes import is_alive
from tests.ray import RayCluster, serving

pytestmark = pytest.mark.ray

GROWN = {"node_labels": {"pool": "grown"}}


@pytest.fixture
def server(ray: RayCluster, tmp_path: Path):
    """A server whose cluster may have two further nodes of a kind that it has none of."""
    kind = {"nodes": 2, "cpus": 1, "labels": {"pool": "grown"}}
    with serving(ray, tmp_path, autoscaling=kind) as running:
        yield running


def test_a_node_comes_for_what_waits_and_is_lost(
    server: LiveServer, ray: RayCluster, tmp_path: Path
) -> None:
    folder, flag = make_folder(tmp_path / "project", wait=WAIT), tmp_path / "flag"

    def send(**more: object) -> str:
        return server.send(folder, "wait.py", str(flag), cluster=GROWN, **more)

    job = send(retries=1, environment={"API_TOKEN": "hush-hush"}, params={"word": "hush"})
    handle = server.wait_for(lambda: in_ray(server, ray, job, "PENDING"), "a job for a new node")
    assert server.job(job)["state"] == "starting"
    # Ray's queue lets go of nothing; who stops a job that waits there does not wait for it.
    other = send()
    server.wait_for(lambda: in_ray(server, ray, other, "PENDING"), "a second one")
    server.api().stop(other)
    assert server.ended(other)["state"] == "stopped"
    # We are the autoscaler.
    ray.start_node("n3", "--num-cpus=1", "--num-gpus=0", "--labels=pool=grown")
    server.has_logged(job, b"up")
    server.wait_for(lambda: node_of(server, job) == "ray/n3", "the node's name")
    assert "hush" not in json.dumps(ray.jobs()), "for everybody who may look at the dashboard"
    ray.kill_node("n3")
    server.wait_for(lambda: ray.jobs()[handle]["status"] == "FAILED", "Ray's word on the node")
    # Its runner is heard of all the same, and it counts.
    assert server.job(job)["state"] == "running"
    (worker,) = server.workers(job)
    runner = psutil.Process(psutil.Process(worker).ppid())
    runner.send_signal(signal.SIGSTOP)
    server.wait_for(lambda: server.job(job)["attempts"] == 2, "another attempt")
    flag.touch()
    # By itself, that is: the runner ends it as soon as it goes on.
    server.wait_for(lambda: not is_alive(worker), "the job's own end")
    runner.send_signal(signal.SIGCONT)
    late = server.wait_for(lambda: server.job(job)["attempt_list"][0]["late_result"], "its result")
    assert late["exit_code"] == 0
    assert server.job(job)["attempt_list"][0]["reason"] == "lost"
    server.api().stop(job)
    assert server.ended(job)["state"] == "stopped"


def in_ray(server: LiveServer, ray: RayCluster, job: str, state: str) -> str | None:
    """What a job is called in Ray, once it has that state there."""
    for name, said in ray.jobs().items():
        if (said["metadata"] or {}).get("atlas_job") == job and said["status"] == state:
            return name
    return None


def node_of(server: LiveServer, job: str) -> str:
    return server.job(job)["attempt_list"][-1]["allocation"]["node"]
