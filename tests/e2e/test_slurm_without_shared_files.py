"""Slurm's nodes that do not see the server's files: all comes and goes through the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive, kill_process
from tests.slurm import NODES, SlurmCluster, can_start, free_ports

pytestmark = pytest.mark.slurm

MAIN = """
import json, os, pathlib, sys
import foundations
home = sys.argv[1]
pathlib.Path("made").mkdir()
pathlib.Path("made/out.txt").write_text("made")
pathlib.Path("model.bin").write_bytes(b"model" * 1000)
foundations.save_artifact("model.bin", key="model")
foundations.log_metric("loss", 0.25)
print(json.dumps({
    "sees": os.path.exists(home) and os.listdir(home), "node": os.environ["SLURMD_NODENAME"],
    "text": pathlib.Path("data/text.txt").read_text(), "home": os.environ["FOUNDATIONS_HOME"],
}), flush=True)
"""
WAIT = """
import os, sys, time
import foundations
foundations.log_metric("step", 1)
print("up", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
foundations.log_metric("step", 2)
print("down", flush=True)
"""


class Site:
    """A cluster, and a server whose home its nodes do not see; `cache` is the nodes' own."""

    def __init__(self, root: Path) -> None:
        self.cache = root / "cache"
        self.hidden = root / "server"
        self.hidden.mkdir()
        self.cluster = SlurmCluster(root / "slurm", hidden=self.hidden)
        environment = {"SLURM_CONF": str(self.cluster.conf)}
        settings: dict[str, object] = {"port": free_ports(1)[0]}
        self.server = LiveServer(self.hidden, 2, settings, environment)
        self.configure("poll: 1")

    def configure(self, setting: str) -> None:
        """Say one thing more of the executor; counts from the server's next start on."""
        config = self.server.home / "config" / "server.config.yaml"
        config.parent.mkdir(parents=True, exist_ok=True)
        said = f"shared: false, cache: {self.cache}, {setting}"
        config.write_text(f"executors: {{slurm: {{{said}}}}}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not can_start():
        pytest.skip("root, who mounts, is needed")
    site = Site(tmp_path_factory.mktemp("apart"))
    with site.cluster, site.server:
        yield site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = make_folder(tmp_path_factory.mktemp("project") / "project", main=MAIN, wait=WAIT)
    (place / "data").mkdir()
    (place / "data" / "text.txt").write_text("some text")
    return place


def test_code_comes_once_a_node_and_everything_comes_back(site: Site, folder: Path) -> None:
    server = site.server
    home = str(server.home)
    first = server.completed(server.send(folder, "main.py", home))
    told = json.loads(server.job_log(first["job_id"]).splitlines()[-1])
    assert (told["sees"], told["text"]) == (False, "some text")
    assert told["home"].startswith(str(site.cache))
    assert list(first["metrics"]) == ["loss"]
    assert [each["key"] for each in first["artifacts"]] == ["model"]
    done = server.cli("get", "job", first["job_id"], "--save-dir", str(site.cache.parent / "got"))
    assert done.code == 0, done
    assert [path.read_text() for path in (site.cache.parent / "got").rglob("out.txt")] == ["made"]
    # Both nodes have one disk here, so what one has fetched the other has, too.
    blobs = list(site.cache.glob("*/blobs/??/*"))
    assert len(blobs) == 4, "the manifest and three files, and nothing that the job made"
    files = {path: path.stat().st_ino for path in blobs}
    jobs = [server.send(folder, "main.py", home) for _ in range(4)]
    for job in jobs:
        server.completed(job)
    assert {path: path.stat().st_ino for path in site.cache.glob("*/blobs/??/*")} == files
    # Nothing is left of jobs that are over.
    site.cluster.wait(lambda: not list(site.cache.glob("*/work/*")))


def test_a_node_keeps_its_journal_while_the_server_is_away(
    site: Site, folder: Path, tmp_path: Path
) -> None:
    server, flag = site.server, tmp_path / "flag"
    job = server.send(folder, "wait.py", str(flag))
    server.has_logged(job, b"up")
    server.kill()
    flag.touch()
    (root,) = site.cache.glob(f"*/work/{job}/1")
    site.cluster.wait((root / "result").exists)
    site.configure("cache_size: 1B")
    server.restart()
    ended = server.completed(job)
    assert ended["attempts"] == 1
    assert b"down" in server.job_log(job)
    assert ended["metrics"]["step"]["value"] == 2
    # From now on nothing may stay on the node that nobody uses.
    server.completed(server.send(folder, "main.py", str(server.home)))
    site.cluster.wait(lambda: not list(site.cache.glob("*/blobs/??/*")))


def test_what_a_dead_runner_left_is_taken_in_on_its_node(
    site: Site, folder: Path, tmp_path: Path
) -> None:
    server, flag = site.server, tmp_path / "flag"
    job = server.send(folder, "wait.py", str(flag))
    server.has_logged(job, b"up")
    (worker,) = server.workers(job)
    kill_process(psutil.Process(worker).ppid())
    ended = server.ended(job)
    assert (ended["state"], ended["reason"]) == ("failed", "lost")
    assert "signal 9" in ended["message"]
    assert not is_alive(worker)
    listed = site.cluster.command("squeue", "-h", "-t", "all", "-O", "Name:|,NodeList:|")
    names = dict(line.split("|")[:2] for line in listed.splitlines())
    (recovery,) = [name for name in names if name.endswith("-r1")]
    assert names[recovery] == names[recovery.removesuffix("-r1")]
    assert names[recovery] in NODES
