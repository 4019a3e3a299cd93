"""Containers outlive whatever is killed, and are taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import kill_process

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

# Prints and records until the file `go` is there; then the end.
COUNTING = """
import os, time
import foundations

number = 0
while not os.path.exists("go"):
    print("line", number)
    foundations.log_metric("number", number)
    number += 1
    time.sleep(0.01)
print("last", number)
open("result", "w").write(str(number))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path) as server:
        yield server


@pytest.fixture
def counting(server: LiveServer, tmp_path: Path, image: Callable[[str], str]) -> Iterator[Counting]:
    folder = make_folder(tmp_path / "counting", main=COUNTING)
    job = server.send(folder, "main.py", worker={"image": image("python")}, retries=0)
    counting = Counting(server, job)
    yield counting
    counting.container_is_gone()


class Counting:
    """A job that counts, in a container."""

    def __init__(self, server: LiveServer, job: str) -> None:
        self.server = server
        self.job = job

    def counts_to(self, number: int) -> None:
        self.server.has_logged(self.job, b"line %d\n" % number)

    def let_it_end(self) -> dict[str, Any]:
        (self.server.home / "work" / self.job / "1/job/go").touch()
        return self.server.completed(self.job)

    def kept_everything(self) -> None:
        log = self.server.job_log(self.job).decode().splitlines()
        lines = [line for line in log if line.startswith(("line", "last"))]
        last = int(lines[-1].split()[1])
        assert lines == [*(f"line {n}" for n in range(last)), f"last {last}"]
        shown = self.server.job(self.job)
        assert shown["metrics"]["number"]["count"] == last
        assert shown["outputs"] is not None
        assert len(shown["attempt_list"]) == 1

    def container_is_gone(self) -> None:
        client = docker.from_env()
        try:
            left = client.api.containers(all=True, filters={"label": f"atlas.job={self.job}"})
            assert not left
        finally:
            client.close()


def test_a_container_goes_on_without_its_runner(server: LiveServer, counting: Counting) -> None:
    counting.counts_to(10)
    kill_process(server.runner(counting.job))
    counting.counts_to(50)
    counting.let_it_end()
    counting.kept_everything()


def test_a_container_ends_while_nobody_is_there(server: LiveServer, counting: Counting) -> None:
    counting.counts_to(10)
    server.kill()
    kill_process(_runner_of(server, counting.job))
    client = docker.from_env()
    try:
        (server.home / "work" / counting.job / "1/job/go").touch()
        client.containers.get(f"atlas-{counting.job}-1").wait()
    finally:
        client.close()
    server.restart()
    server.completed(counting.job)
    counting.kept_everything()


def test_a_server_that_comes_back_takes_containers_up(
    server: LiveServer, counting: Counting
) -> None:
    counting.counts_to(10)
    server.kill()
    server.restart()
    counting.counts_to(100)
    counting.let_it_end()
    counting.kept_everything()


def test_a_container_that_is_taken_up_can_be_stopped(
    server: LiveServer, counting: Counting
) -> None:
    counting.counts_to(10)
    kill_process(server.runner(counting.job))
    counting.counts_to(30)
    server.api().stop(counting.job)
    assert server.ended(counting.job)["state"] == "stopped"


def test_a_container_that_somebody_removes_has_failed(
    server: LiveServer, counting: Counting
) -> None:
    counting.counts_to(1)
    client = docker.from_env()
    try:
        client.containers.get(f"atlas-{counting.job}-1").remove(force=True)
    finally:
        client.close()
    job = server.ended(counting.job)
    assert job["state"] == "failed"
    assert job["reason"] in ("lost", "nonzero_exit"), "removing it kills it first"


def test_containers_of_deleted_jobs_are_swept(
    server: LiveServer, tmp_path: Path, image: Callable[[str], str]
) -> None:
    folder = make_folder(tmp_path / "any")
    spec = {"worker": {"image": image("busybox")}, "entrypoint": ["true"]}
    server.completed(server.send(folder, **spec))
    instance = (server.home / "database/instance").read_text()
    client = docker.from_env()
    try:
        orphan = client.containers.run(
            image("busybox"), ["sleep", "1000"], detach=True,
            labels={"atlas.instance": instance, "atlas.job": "gone", "atlas.number": "1"},
        )  # fmt: skip
        server.stop()
        server.restart()
        label = {"label": f"atlas.instance={instance}"}
        server.wait_for(lambda: not client.containers.list(all=True, filters=label), "sweep")
        with pytest.raises(docker.errors.NotFound):
            orphan.reload()
    finally:
        client.close()


def _runner_of(server: LiveServer, job: str) -> int:
    """The runner's process, without a server to ask."""
    import psutil

    lock = server.home / "work" / job / "1/lock"
    for process in server.processes():
        try:
            if any(Path(file.path) == lock for file in process.open_files()):
                return process.pid
        except psutil.Error:
            continue
    raise AssertionError("the attempt has no runner")
