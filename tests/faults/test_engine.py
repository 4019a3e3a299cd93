"""A container engine that is down, slow, or restarted in mid-job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.engines import PrivateEngine
from tests.gateway import Gateway
from tests.live import LiveServer, make_folder

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

COUNTING = "i=0; while [ ! -e go ]; do echo line $i; i=$((i+1)); sleep 0.02; done; echo last $i"


class Machine:
    """A server, and an engine for it alone."""

    def __init__(self, server: LiveServer, engine: PrivateEngine, image: str, folder: Path) -> None:
        self.server = server
        self.engine = engine
        self.image = image
        self.folder = folder

    def submit(self, script: str, **spec: Any) -> str:
        worker = {"image": self.image, "network_mode": "none"}
        return self.server.send(self.folder, script, entrypoint=["sh", "-c"], worker=worker, **spec)

    def let_it_end(self, job: str, attempt: int = 1) -> None:
        (self.server.home / "work" / job / str(attempt) / "job/go").touch()

    def lines(self, job: str) -> list[str]:
        log = self.server.job_log(job).decode().splitlines()
        return [line for line in log if line.startswith(("line", "last"))]

    def counted_whole(self, job: str) -> None:
        lines = self.lines(job)
        last = int(lines[-1].split()[1])
        assert lines == [*(f"line {n}" for n in range(last)), f"last {last}"]


def machine(tmp_path: Path, *options: str) -> Iterator[Machine]:
    with (
        PrivateEngine(*options) as engine,
        LiveServer(tmp_path, environment=engine.env) as server,
    ):
        folder = make_folder(tmp_path / "job")
        yield Machine(server, engine, engine.image("busybox"), folder)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    yield from machine(tmp_path)


@pytest.fixture
def restoring(tmp_path: Path) -> Iterator[Machine]:
    yield from machine(tmp_path, "--live-restore")


def test_a_job_waits_for_an_engine_that_is_down(here: Machine) -> None:
    here.engine.kill()
    job = here.submit("echo ran")
    here.server.has_logged(job, b"Waiting for it")
    assert here.server.job(job)["state"] == "starting"
    here.engine.start()
    here.server.completed(job)
    assert here.server.job_log(job).endswith(b"ran\n")


def test_a_job_that_waits_for_the_engine_can_be_stopped(here: Machine) -> None:
    here.engine.kill()
    job = here.submit("echo ran")
    here.server.has_logged(job, b"Waiting for it")
    here.server.api().stop(job)
    assert here.server.ended(job)["state"] == "stopped"


def test_a_container_that_goes_on_without_its_engine_is_followed_again(restoring: Machine) -> None:
    job = restoring.submit(COUNTING)
    restoring.server.has_logged(job, b"line 10\n")
    restoring.engine.kill()
    restoring.engine.start()
    restoring.server.has_logged(job, b"line 200\n")
    restoring.let_it_end(job)
    assert restoring.server.completed(job)["exit_code"] == 0
    restoring.counted_whole(job)


def test_a_job_that_ended_with_its_engine_says_so(here: Machine) -> None:
    job = here.submit(COUNTING)
    here.server.has_logged(job, b"line 10\n")
    here.engine.stop()
    here.engine.start()
    ended = here.server.ended(job)
    assert (ended["state"], ended["reason"]) == ("failed", "lost")
    assert "engine was restarted" in ended["message"]


def test_a_job_that_ended_with_its_engine_is_tried_again(here: Machine) -> None:
    job = here.submit(COUNTING, retries=1)
    here.server.has_logged(job, b"line 10\n")
    here.engine.kill()
    here.engine.start()
    here.server.wait_for(lambda: here.server.job(job)["attempts"] == 2, "second attempt")
    here.server.has_logged(job, b"line 10\n")
    here.let_it_end(job, 2)
    here.server.completed(job)
    here.counted_whole(job)


def test_an_engine_that_hangs_holds_nothing_up_for_ever(here: Machine) -> None:
    running = here.submit(COUNTING)
    here.server.has_logged(running, b"line 10\n")
    here.engine.hang()
    waiting = here.submit("echo ran")
    here.server.wait_for(lambda: here.server.job(waiting)["state"] == "starting", "start")
    here.server.api().stop(running)
    here.engine.go_on()
    assert here.server.ended(running)["state"] == "stopped"
    here.server.completed(waiting)


# -- away at a single step


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as gateway:
        yield gateway


@pytest.fixture
def behind(tmp_path: Path, gateway: Gateway) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, environment=gateway.env) as server:
        yield server


def send_python(server: LiveServer, image: Callable[[str], str], script: str) -> str:
    folder = make_folder(server.root / "job", main=script)
    return server.send(folder, "main.py", worker={"image": image("python")}, retries=0)


def known_image(server: LiveServer, image: Callable[[str], str]) -> None:
    """Let the server find out what the image has."""
    server.completed(send_python(server, image, "print('first')"))


@pytest.mark.parametrize("answered", [True, False], ids=["after", "before"])
def test_a_job_whose_start_nobody_confirmed_runs_once(
    behind: LiveServer, gateway: Gateway, image: Callable[[str], str], answered: bool
) -> None:
    known_image(behind, image)
    gateway.cut(b"/start HTTP", answered=answered)
    job = send_python(behind, image, "print('first')")
    assert gateway.was_cut.wait(60)
    behind.has_logged(job, b"Waiting for it")
    gateway.open()
    ended = behind.completed(job)
    assert ended["attempts"] == (1 if answered else 2)
    assert behind.job_log(job).count(b"first") == 1
    assert no_container_of(behind, job)


def test_an_engine_that_leaves_while_an_image_is_asked_says_nothing_about_the_image(
    behind: LiveServer, gateway: Gateway, image: Callable[[str], str]
) -> None:
    gateway.cut(b"/start HTTP", answered=False)
    job = send_python(behind, image, "print('ran')")
    assert gateway.was_cut.wait(60)
    behind.has_logged(job, b"Waiting for it")
    gateway.open()
    behind.completed(job)
    assert b"ran" in behind.job_log(job)
    behind.stop()
    behind.restart()
    behind.wait_for(lambda: no_container_of(behind, job), "sweep")


def test_a_container_that_cannot_be_removed_does_not_hold_the_end_up(
    behind: LiveServer, gateway: Gateway, image: Callable[[str], str]
) -> None:
    known_image(behind, image)
    gateway.cut(b"DELETE ", answered=False)
    job = send_python(behind, image, "print('first')")
    assert behind.completed(job)["exit_code"] == 0
    assert gateway.was_cut.is_set()
    gateway.open()
    behind.stop()
    behind.restart()
    behind.wait_for(lambda: no_container_of(behind, job), "sweep")


def no_container_of(server: LiveServer, job: str) -> bool:
    label = {"label": f"atlas.job={job}"}
    with contextlib.closing(docker.from_env()) as client:
        return not client.api.containers(all=True, filters=label)
