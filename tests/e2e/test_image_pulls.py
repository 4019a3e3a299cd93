"""Images that this machine lacks are pulled, with progress and credentials, from a registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.live import LiveServer, make_folder
from tests.registry import Registry, forget

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def server(tmp_path: Path, image: Callable[[str], str]) -> Iterator[LiveServer]:
    image("busybox")
    with LiveServer(tmp_path, environment={"DOCKER_CONFIG": str(tmp_path / "docker")}) as server:
        yield server


def submit(server: LiveServer, reference: str, **worker: Any) -> str:
    folder = make_folder(server.root / "job")
    command = {"entrypoint": ["sh", "-c"], "worker": {"image": reference, **worker}}
    return server.send(folder, "echo it runs", **command)


def test_a_missing_image_is_pulled_with_progress(
    server: LiveServer, registry: Registry, client: docker.DockerClient
) -> None:
    reference = registry.publish("missing", size=3_000_000)
    try:
        job = server.completed(submit(server, reference))
        log = server.job_log(job["job_id"]).decode()
        assert f"Pulling image {reference}" in log
        assert "Pulled " in log
        assert "it runs" in log
        recorded = job["environment"]["image"]
        assert recorded["name"] == reference
        assert recorded["digests"][0].endswith(registry.digest(reference, client))
        again = server.job_log(server.completed(submit(server, reference))["job_id"])
        assert b"Pulling" not in again
    finally:
        forget(client, reference)


def test_a_rerun_pulls_the_image_of_then(
    server: LiveServer, registry: Registry, client: docker.DockerClient
) -> None:
    reference = registry.publish("moving", "atlas-test/busybox", "ENV GENERATION=first")
    folder = make_folder(server.root / "job")
    spec = {"entrypoint": ["sh", "-c"], "worker": {"image": reference}}
    try:
        job = server.send(folder, "echo generation $GENERATION", **spec)
        server.completed(job)
        assert b"generation first" in server.job_log(job)
        forget(client, reference)
        registry.publish("moving", "atlas-test/busybox", "ENV GENERATION=second")
        again = server.api().rerun(job, {})["job_id"]
        server.completed(again)
        assert b"generation first" in server.job_log(again)
        fresh = server.send(folder, "echo generation $GENERATION", **spec)
        server.completed(fresh)
        assert b"generation second" in server.job_log(fresh)
    finally:
        for found in client.images.list(name=reference.rpartition(":")[0]):
            client.images.remove(found.id, force=True)


def test_credentials_of_the_users_docker_config_are_used(
    server: LiveServer, locked_registry: Registry, client: docker.DockerClient
) -> None:
    reference = locked_registry.publish("secret")
    refused = server.ended(submit(server, reference))
    assert (refused["state"], refused["reason"]) == ("failed", "start_failed")
    assert "docker login" in refused["message"]
    locked_registry.docker_config(server.root / "docker")
    try:
        job = submit(server, reference)
        server.completed(job)
        assert b"it runs" in server.job_log(job)
        config = json.loads((server.root / "docker/config.json").read_text())
        secret = next(iter(config["auths"].values()))["auth"]
        told = json.dumps(server.job(job)) + server.job_log(job).decode() + server.log()
        assert secret not in told
    finally:
        forget(client, reference)


def test_an_image_that_no_registry_has_fails_with_the_engines_words(
    server: LiveServer, registry: Registry
) -> None:
    job = server.ended(submit(server, f"{registry.address}/no/such:image"))
    assert (job["state"], job["reason"]) == ("failed", "start_failed")
    assert "no/such:image" in job["message"]
    assert b"404 Client Error" in server.job_log(job["job_id"])


def test_a_pull_can_be_stopped(server: LiveServer, registry: Registry) -> None:
    reference = registry.publish("slow", size=3_000_000)
    registry.hang()
    try:
        job = submit(server, reference)
        server.has_logged(job, b"Pulling image")
        server.api().stop(job)
        assert server.ended(job)["state"] == "stopped"
    finally:
        registry.go_on()
