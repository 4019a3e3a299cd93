"""Containers get the GPUs that their job was given, and see no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines import PrivateEngine
from tests.live import LiveServer, make_folder

from foundations.errors import Refused

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SHOW = "echo visible=$NVIDIA_VISIBLE_DEVICES"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[LiveServer, str]]:
    """A server of four declared GPUs, and an engine that takes requests for devices."""
    with (
        PrivateEngine(nvidia=True) as engine,
        LiveServer(tmp_path, cpus=8, settings={"gpus": 4}, environment=engine.env) as server,
    ):
        yield server, engine.image("busybox")


def test_each_container_gets_its_own_devices(machine: tuple[LiveServer, str]) -> None:
    server, image = machine
    folder = make_folder(server.root / "job")
    spec = {
        "entrypoint": ["sh", "-c"],
        "worker": {"image": image, "network_mode": "none"},
        "environment": {"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VISIBLE_DEVICES": "0,1,2,3"},
    }
    wait = "; while [ ! -e go ]; do sleep 0.02; done"
    jobs = [
        server.send(folder, SHOW + wait, **spec, resources={"cpus": 1, "gpus": gpus})
        for gpus in (2, 1, 1)
    ]
    none = server.send(folder, SHOW, **spec)
    seen = []
    for job in jobs:
        line = server.has_logged(job, b"visible=").decode().split("visible=")[1].split("\n")[0]
        seen += line.split(",")
        held = server.job(job)["attempt_list"][-1]["allocation"]["gpus"]
        assert line.split(",") == [uuid for uuid, _ in held]
    assert len(seen) == len(set(seen)) == 4
    server.completed(none)
    assert b"visible=void" in server.job_log(none)
    for job in jobs:
        (server.home / "work" / job / "1/job/go").touch()
        server.completed(job)


def test_a_gpu_that_the_engine_cannot_give_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    with (
        PrivateEngine() as engine,
        LiveServer(tmp_path, settings={"gpus": 1}, environment=engine.env) as server,
    ):
        folder = make_folder(tmp_path / "job")
        worker = {"image": engine.image("busybox")}
        with pytest.raises(Refused, match="no NVIDIA runtime"):
            server.send(folder, "true", worker=worker, resources={"cpus": 1, "gpus": 1})


def test_an_image_without_any_engine_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    with LiveServer(tmp_path, environment=nowhere) as server:
        folder = make_folder(tmp_path / "job")
        with pytest.raises(Refused, match="no container engine runs here"):
            server.send(folder, "true", worker={"image": "any"})
