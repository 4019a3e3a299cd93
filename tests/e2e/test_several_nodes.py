"""One job on several nodes, of a real Slurm or Ray: it starts on all, they meet, it ends on all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive
from tests.ray import serving

# As torch.distributed does: the first one listens, the others come to it.
MEET = """
import os, socket
import foundations
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
where = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    with socket.create_server(where) as door:
        told = [door.accept()[0].makefile().readline() for _ in range(world - 1)]
    print("met", *told)
else:
    while True:
        try:
            with socket.create_connection(where) as way:
                way.sendall(f"rank {rank} on {os.environ.get('SLURMD_NODENAME')}".encode())
            break
        except ConnectionRefusedError:
            pass
gpus = os.environ["CUDA_VISIBLE_DEVICES"]
print(f"rank {rank} of {world} on {os.environ.get('SLURMD_NODENAME')} with {gpus}")
open(f"made-{rank}", "w").write("made")
foundations.save_artifact(f"made-{rank}")
foundations.log_metric(f"rank_{rank}", rank + 0.5)
"""
FAIL = """
import os, sys, time
if os.environ["NODE_RANK"] == "1":
    sys.exit(3)
time.sleep(600)
"""
WAIT = (
    "import os, time\nprint('up', os.environ['RANK'], os.getpid(), flush=True)\ntime.sleep(600)\n"
)
EXECUTORS = [
    pytest.param("slurm", marks=pytest.mark.slurm),
    pytest.param("ray", marks=pytest.mark.ray),
]


@pytest.fixture(scope="module", params=EXECUTORS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("nodes")
    if request.param == "ray":
        server = serving(request.getfixturevalue("ray"), root)
    else:
        environment = {"SLURM_CONF": str(request.getfixturevalue("slurm").conf)}
        server = LiveServer(root, 2, {"executors": "local,slurm"}, environment)
    with server:
        yield server


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> str:
    return request.node.callspec.params["server"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project") / "project"
    return make_folder(place, meet=MEET, fail=FAIL, wait=WAIT)


def test_processes_on_all_nodes_find_each_other_and_where_one_fails_all_end(
    server: LiveServer, folder: Path, executor: str
) -> None:
    failing = server.send(folder, "fail.py", num_nodes=2)
    sent = server.cli(
        "submit", "--quiet", "--num-nodes", "2", "--num-gpus", "2", "--num-cpus", "3", "scheduler",
        str(folder), "meet.py",
    )  # fmt: skip
    assert sent.code == 0, sent
    job = server.completed(sent.out.strip())
    log = server.job_log(job["job_id"]).decode()
    met = next(line for line in log.splitlines() if "met" in line)
    other = met.rpartition(" ")[2]
    first = ({"n1", "n2"} - {other}).pop() if executor == "slurm" else "None"
    assert f"0: rank 0 of 2 on {first} with 0,1" in log
    assert f"1: rank 1 of 2 on {other} with 0,1" in log
    assert {name: metric["value"] for name, metric in job["metrics"].items()} == {
        "rank_0": 0.5, "rank_1": 1.5,
    }  # fmt: skip
    kept = {artifact["key"]: artifact["size"] for artifact in job["artifacts"]}
    assert kept == {"made-0": 4, "made-1": 4}
    ended = server.ended(failing)
    assert (ended["state"], ended["exit_code"]) == ("failed", 3)
    assert re.search(rb"(task|node) 1.* (exit )?code 3", server.job_log(failing))


def test_a_stopped_one_leaves_nothing_on_any_node(
    server: LiveServer, folder: Path, executor: str
) -> None:
    job = server.send(folder, "wait.py", num_nodes=2)
    server.has_logged(job, b"0: up 0")
    log = server.has_logged(job, b"1: up 1").decode()
    pids = [int(line.split()[3]) for line in log.splitlines() if ": up " in line]
    used = {f"{executor}/n1", f"{executor}/n2"}
    server.wait_for(
        lambda: {node["name"] for node in server.api().nodes() if node["jobs"]} == used, "its nodes"
    )
    server.api().stop(job)
    assert server.ended(job)["state"] == "stopped"
    server.wait_for(lambda: not any(map(is_alive, pids)), "the end of both")


def test_more_nodes_than_there_are_are_refused(
    server: LiveServer, folder: Path, executor: str
) -> None:
    refused = server.cli("submit", "--num-nodes", "3", "scheduler", str(folder), "meet.py")
    assert refused.code == 1, refused
    said = {"slurm": "Requested node configuration is not available", "ray": "3 nodes"}[executor]
    assert said in refused.err, refused
