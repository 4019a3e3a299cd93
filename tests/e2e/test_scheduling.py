"""Who runs when, and how jobs are ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

from atlas_runner.limits import parent_group

WAIT = (
    "import os, sys, time\nprint('up')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
)
POLITE = """
import signal, sys, time
def end(*_):
    print("tidied up")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up")
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up")
time.sleep(600)
"""
HUNGRY = """
held = []
print("up")
while True:
    held.append(bytearray(b"x" * (1 << 20)))
"""
MARK = "import sys\nwith open(sys.argv[1], 'a') as file: file.write(sys.argv[2] + ' ')\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, cpus=2, settings={"grace": 0.5, "patience": 1}) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(
        tmp_path / "project", wait=WAIT, polite=POLITE, stubborn=STUBBORN, hungry=HUNGRY, mark=MARK
    )


def waiting(server: LiveServer, job_id: str) -> dict:
    """The job, once the scheduler has seen that it waits."""

    def there() -> dict | None:
        job = server.job(job_id)
        return job if "waits_because" in job else None

    return server.wait_for(there, f"{job_id} in the queue")


def queue_of(server: LiveServer, count: int) -> list[str]:
    """The waiting jobs in the order of their turns, once there are `count`."""

    def there() -> list[str] | None:
        queue = server.api().queue()
        found = [row["job_id"] for row in queue["queued"]]
        return found if len(found) == queue["total_queued"] == count else None

    return server.wait_for(there, f"queue of {count}")


def test_as_many_at_once_as_there_are_cpus(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    ends = [tmp_path / str(n) for n in range(3)]
    jobs = [server.send(folder, "wait.py", str(end)) for end in ends]
    for job in jobs[:2]:
        server.has_logged(job, b"up")
    third = waiting(server, jobs[2])
    assert third["state"] == "queued"
    assert third["jobs_ahead"] == 0
    assert "CPU" in third["waits_because"]
    queue = server.api().queue()
    assert [row["job_id"] for row in queue["running"]] == jobs[:2]
    assert queue_of(server, 1) == jobs[2:]
    (node,) = server.api().server()["nodes"]
    assert node["used"]["cpus"] == 2
    ends[0].touch()
    server.has_logged(jobs[2], b"up")
    assert server.job(jobs[1])["state"] == "running"
    for end in ends:
        end.touch()
    for job in jobs:
        server.completed(job)
    server.wait_for(lambda: server.api().server()["nodes"][0]["used"]["cpus"] == 0)


def test_small_jobs_pass_a_big_one_but_do_not_starve_it(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    blocker = server.send(folder, "wait.py", str(tmp_path / "end"))
    server.has_logged(blocker, b"up")
    big = server.send(folder, "mark.py", str(order), "big", resources={"cpus": 2})
    small = server.send(folder, "mark.py", str(order), "small", timeout=5)
    assert server.job(big)["state"] == "queued"
    server.completed(small)
    assert server.job(big)["state"] == "queued"
    # Once its patience is over nothing passes any more.
    server.wait_for(lambda: server.job(big)["submitted_at"] + 1.2 < time.time())
    late = server.send(folder, "mark.py", str(order), "late")
    waiting(server, late)
    (tmp_path / "end").touch()
    server.completed(big)
    server.completed(late)
    assert order.read_text().split()[0] == "small"
    assert order.read_text().split().index("big") < order.read_text().split().index("late")


def test_priority_then_arrival(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    order = tmp_path / "order"
    blocker = server.send(folder, "wait.py", str(tmp_path / "end"), resources={"cpus": 2})
    server.has_logged(blocker, b"up")
    whole = {"cpus": 2}
    names = {"first": 0, "second": 0, "low": -5, "high": 5}
    jobs = [
        server.send(folder, "mark.py", str(order), name, priority=priority, resources=whole)
        for name, priority in names.items()
    ]
    assert queue_of(server, 4) == [jobs[3], jobs[0], jobs[1], jobs[2]]
    (tmp_path / "end").touch()
    for job in jobs:
        server.completed(job)
    assert order.read_text().split() == ["high", "first", "second", "low"]


def test_users_take_turns(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    blocker = server.send(folder, "wait.py", str(tmp_path / "end"), resources={"cpus": 2})
    server.has_logged(blocker, b"up")
    many = [server.send(folder, "wait.py", str(tmp_path / "end"), user="a") for _ in range(3)]
    one = server.send(folder, "wait.py", str(tmp_path / "end"), user="b")
    queued = queue_of(server, 4)
    assert queued.index(one) < queued.index(many[1])
    (tmp_path / "end").touch()
    for job in [*many, one]:
        server.completed(job)


def test_stop_of_a_queued_job(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    blocker = server.send(folder, "wait.py", str(tmp_path / "end"), resources={"cpus": 2})
    server.has_logged(blocker, b"up")
    queued = server.send(folder, "wait.py", str(tmp_path / "end"))
    assert server.api().stop(queued)["state"] == "stopped"
    (tmp_path / "end").touch()
    server.completed(blocker)
    assert server.job(queued)["attempts"] == 0
    assert server.job_log(queued) == b""


def test_stop_lets_the_job_tidy_up(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "polite.py")
    server.has_logged(job, b"up")
    assert server.api().stop(job)["state"] == "stopping"
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("stopped", "stop_requested")
    assert b"tidied up" in server.job_log(job)


def test_stop_of_a_job_that_will_not(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "stubborn.py", retries=3)
    server.has_logged(job, b"up")
    server.api().stop(job)
    found = server.ended(job)
    assert (found["state"], found["attempts"]) == ("stopped", 1)
    assert not server.workers(job)


def test_time_out_of_a_job_that_will_not(server: LiveServer, folder: Path) -> None:
    found = server.ended(server.send(folder, "stubborn.py", timeout=0.7))
    assert (found["state"], found["reason"]) == ("failed", "timed_out")
    assert not server.workers(found["job_id"])


def test_stop_while_it_waits_for_its_retry(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "no-such-script.py", retries=5)
    server.wait_for(lambda: server.job(job)["attempts"] == 3)
    assert "before retry" in waiting(server, job)["waits_because"]
    server.api().stop(job)
    assert server.ended(job)["state"] == "stopped"


def test_memory_limit(server: LiveServer, folder: Path) -> None:
    limit = 100 * 1024**2
    job = server.send(folder, "hungry.py", resources={"cpus": 1, "memory": limit})
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("failed", "out_of_memory")
    assert f"{limit // 2**20} MB" in found["message"]
    assert b"up" in server.job_log(job)
    if parent_group() is not None:
        assert found["usage"]["peak_memory"] <= limit * 1.1


def test_memory_is_accounted_for(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    (node,) = server.api().server()["nodes"]
    most = int(node["memory"] * 0.6)
    jobs = [
        server.send(
            folder, "wait.py", str(tmp_path / "end"), resources={"cpus": 0.5, "memory": most}
        )
        for _ in range(2)
    ]
    server.has_logged(jobs[0], b"up")
    second = waiting(server, jobs[1])
    assert second["state"] == "queued"
    assert "memory" in second["waits_because"].lower()
    (tmp_path / "end").touch()
    for job in jobs:
        server.completed(job)
