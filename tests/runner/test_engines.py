"""The engines and registries that other tests use do what they are used for."""

from __future__ import annotations

import contextlib

import docker
import pytest
from docker.errors import APIError
from tests.registry import PASSWORD, USER, forget

pytestmark = pytest.mark.docker


def test_an_engine_is_killed_hung_and_started_again(private_engine):
    image = private_engine.image("busybox")
    before = private_engine.pid
    private_engine.kill()
    assert not private_engine.answers()

    private_engine.start()
    assert private_engine.pid != before
    private_engine.hang()
    assert not private_engine.answers()
    private_engine.go_on()
    with private_engine.client() as client:
        said = client.containers.run(image, ["echo", "hello"], network_mode="none", remove=True)
    assert said == b"hello\n"


def test_an_engine_that_answers_is_left_alone(private_engine):
    before = private_engine.pid
    private_engine.start()
    assert private_engine.pid == before


def test_a_stopped_engine_is_stopped_again(private_engine):
    private_engine.stop()
    private_engine.stop()
    assert not private_engine.answers()


def test_a_container_is_given_the_gpus_that_it_asks_for(gpu_engine):
    image = gpu_engine.image("busybox")
    wanted = docker.types.DeviceRequest(device_ids=["GPU-1", "GPU-2"], capabilities=[["gpu"]])
    with gpu_engine.client() as client:
        assert "nvidia" in client.info()["Runtimes"]
        given = client.containers.run(
            image, ["env"], device_requests=[wanted], network_mode="none", remove=True
        )
    assert b"NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2\n" in given


def test_an_engine_without_gpus_refuses(private_engine):
    image = private_engine.image("busybox")
    wanted = docker.types.DeviceRequest(device_ids=["GPU-1"], capabilities=[["gpu"]])
    with private_engine.client() as client, pytest.raises(APIError, match="device driver"):
        client.containers.run(image, ["env"], device_requests=[wanted], network_mode="none")


@pytest.fixture
def client():
    with contextlib.closing(docker.from_env()) as client:
        yield client


def test_what_a_registry_published_is_pulled(registry, image, client):
    published = registry.publish("tools/worker", image("busybox"), "ENV COLOUR=blue")
    pulled = client.images.pull(published)
    digest = registry.digest(published, client)
    forget(client, published)
    assert "COLOUR=blue" in pulled.attrs["Config"]["Env"]
    assert digest.startswith("sha256:")


def test_a_locked_registry_asks_for_the_password(locked_registry, image, client):
    published = locked_registry.publish("worker", image("busybox"))
    with pytest.raises(APIError, match="no basic auth credentials"):
        client.images.pull(published)
    client.images.pull(published, auth_config={"username": USER, "password": PASSWORD})
    forget(client, published)


def test_a_docker_config_opens_a_locked_registry(locked_registry, image, tmp_path, monkeypatch):
    published = locked_registry.publish("worker", image("busybox"))
    monkeypatch.setenv("DOCKER_CONFIG", str(locked_registry.docker_config(tmp_path / "docker")))
    with contextlib.closing(docker.from_env()) as client:
        assert client.images.pull(published).tags == [published]
        forget(client, published)
