"""Processes of Atlas die while jobs hold GPUs; no device is ever given out twice, none is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import kill_process

# Each half of a device is a lock; a job that cannot have its own at once has been given what
# another one has.
LOCKS = """
import fcntl, os, sys, time
folder, share, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
held = []
def lock(name):
    file = open(os.path.join(folder, name), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    held.append(file)
    return True
for device in os.environ["CUDA_VISIBLE_DEVICES"].split(","):
    halves = [f"{device}.0", f"{device}.1"]
    got = any(map(lock, halves)) if share < 1 else all([lock(half) for half in halves])
    if not got:
        print("TAKEN", device)
        sys.exit(9)
print("up")
time.sleep(seconds)
"""
SIZES = (0.5, 0.5, 1, 1, 2, 3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    settings = {"gpus": 4, "patience": 2, "lease": 4}
    with LiveServer(tmp_path, cpus=64, settings=settings) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    return make_folder(tmp_path / "project", locks=LOCKS)


def send(server: LiveServer, folder: Path, gpus: float, seconds: float, **spec: object) -> str:
    words = ("locks.py", str(server.root / "locks"), str(gpus), str(seconds))
    return server.send(folder, *words, resources={"cpus": 0.1, "gpus": gpus}, **spec)


def in_use(server: LiveServer) -> list[str]:
    return server.api().server()["nodes"][0]["used"]["gpus"]


def assert_all_free(server: LiveServer, folder: Path) -> None:
    server.wait_for(lambda: not in_use(server), "end of all use")
    server.completed(send(server, folder, 4, 0))


@pytest.mark.parametrize("seed", [1, 2])
def test_no_device_twice_whatever_dies(server: LiveServer, folder: Path, seed: int) -> None:
    source = random.Random(seed)
    jobs = [
        send(server, folder, source.choice(SIZES), source.uniform(0, 0.4), retries=5)
        for _ in range(40)
    ]
    for _ in range(4):
        done = sum(server.job(job)["state"] == "completed" for job in jobs)
        target = min(done + 4, len(jobs))
        server.wait_for(
            lambda target=target: (
                sum(server.job(job)["state"] == "completed" for job in jobs) >= target
            ),
            "some jobs",
        )
        if source.random() < 0.7:
            server.kill()
            server.restart()
        else:
            runners = [row["job_id"] for row in server.api().queue()["running"]]
            if runners:
                kill_process(server.runner(source.choice(runners)))
    for job in jobs:
        found = server.ended(job)
        assert b"TAKEN" not in server.job_log(job), found
        assert all(attempt["exit_code"] != 9 for attempt in found["attempt_list"]), found
        assert found["state"] == "completed", found
    assert_all_free(server, folder)


def test_right_after_a_restart_held_devices_are_held(server: LiveServer, folder: Path) -> None:
    """What waits is placed at once, beside what runs and has not reported yet."""
    holders = [send(server, folder, gpus, 3600) for gpus in (1, 0.5, 2)]
    for job in holders:
        server.has_logged(job, b"up")
    waiting = [send(server, folder, gpus, 0) for gpus in (3, 2, 1)]
    server.kill()
    # What has waited for long is let by nobody: not so soon here.
    server.restart(patience=300)
    half = send(server, folder, 0.5, 0)
    server.completed(half)
    assert [server.job(job)["state"] for job in waiting] == ["queued"] * 3
    assert len(in_use(server)) == len(set(in_use(server))) == 4
    for job in holders:
        server.api().stop(job)
    for job in waiting:
        server.completed(job)
    assert_all_free(server, folder)


def test_devices_that_are_gone_after_a_restart_are_not_given_out(
    server: LiveServer, folder: Path
) -> None:
    holder = send(server, folder, 2, 3600)
    server.has_logged(holder, b"up")
    waiting = send(server, folder, 4, 0)
    server.kill()
    server.restart(gpus=3)
    assert server.job(waiting)["state"] == "queued"
    assert "cannot start: asks for 4 GPUs; there are 3" in server.job(waiting)["waits_because"]
    server.completed(send(server, folder, 1, 0))
    assert server.job(holder)["state"] == "running"
    server.stop()
    server.restart(gpus=4)
    server.api().stop(holder)
    server.completed(waiting)
