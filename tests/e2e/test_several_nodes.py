"""One job on several nodes of a real Slurm: it starts on all, they meet, it ends on all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive
from tests.slurm import SlurmCluster

pytestmark = pytest.mark.slurm

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
                way.sendall(f"rank {rank} on {os.environ['SLURMD_NODENAME']}".encode())
            break
        except ConnectionRefusedError:
            pass
gpus = os.environ["CUDA_VISIBLE_DEVICES"]
print(f"rank {rank} of {world} on {os.environ['SLURMD_NODENAME']} with {gpus}")
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, slurm: SlurmCluster) -> Iterator[LiveServer]:
    environment = {"SLURM_CONF": str(slurm.conf)}
    root = tmp_path_factory.mktemp("nodes")
    with LiveServer(root, 2, {"executors": "local,slurm"}, environment) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project") / "project"
    return make_folder(place, meet=MEET, fail=FAIL, wait=WAIT)


def test_processes_on_all_nodes_find_each_other(server: LiveServer, folder: Path) -> None:
    sent = server.cli(
        "submit", "--quiet", "--num-nodes", "2", "--num-gpus", "2", "--num-cpus", "3", "scheduler",
        str(folder), "meet.py",
    )  # fmt: skip
    assert sent.code == 0, sent
    job = server.completed(sent.out.strip())
    log = server.job_log(job["job_id"]).decode()
    met = next(line for line in log.splitlines() if "met" in line)
    other = met.rpartition(" ")[2]
    first = ({"n1", "n2"} - {other}).pop()
    assert f"0: rank 0 of 2 on {first} with 0,1" in log
    assert f"1: rank 1 of 2 on {other} with 0,1" in log
    assert {name: metric["value"] for name, metric in job["metrics"].items()} == {
        "rank_0": 0.5, "rank_1": 1.5,
    }  # fmt: skip


def test_where_one_fails_all_end(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "fail.py", num_nodes=2)
    ended = server.ended(job)
    assert (ended["state"], ended["exit_code"]) == ("failed", 3)
    assert b"task 1: Exited with exit code 3" in server.job_log(job)


def test_a_stopped_one_leaves_nothing_on_any_node(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "wait.py", num_nodes=2)
    server.has_logged(job, b"0: up 0")
    log = server.has_logged(job, b"1: up 1").decode()
    pids = [int(line.split()[3]) for line in log.splitlines() if ": up " in line]
    used = {node["name"] for node in server.api().nodes() if node["jobs"]}
    assert used == {"slurm/n1", "slurm/n2"}
    server.api().stop(job)
    assert server.ended(job)["state"] == "stopped"
    server.wait_for(lambda: not any(map(is_alive, pids)), "the end of both")


def test_more_nodes_than_there_are_are_refused(server: LiveServer, folder: Path) -> None:
    refused = server.cli("submit", "--num-nodes", "3", "scheduler", str(folder), "meet.py")
    assert refused.code == 1, refused
    assert "Requested node configuration is not available" in refused.err, refused
