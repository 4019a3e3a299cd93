"""Many clients at once: submitting, stopping, clearing, deleting, watching."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.live import FINAL, LiveServer, make_folder

from foundations.errors import NotFound, Refused

LEGAL = {
    "queued": {"starting", "stopped"},
    "starting": {"running", "stopping", "failed", "queued"},
    "running": {"stopping", "completed", "failed", "queued"},
    "stopping": {"stopped", "completed", "failed"},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, cpus=4) as server:
        yield server
        server.wait_for(lambda: all_over(server), "end of all jobs")
        assert "Traceback" not in server.log()
        assert "unexpected error" not in server.log()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(
        tmp_path / "project",
        main="import os\nopen('made', 'w').write('x')\nprint('hello')\n",
        sleep="import time\ntime.sleep(60)\n",
    )


def all_over(server: LiveServer) -> bool:
    return all(job["state"] in FINAL for job in server.api().jobs(limit=1000)["jobs"])


def assert_legal(job: dict) -> None:
    """The history of a job goes along the table of moves."""
    states = [event["state"] for event in job["history"] if event["kind"] == "job.state"]
    assert states[0] == "queued"
    for before, after in itertools.pairwise(states):
        assert after in LEGAL[before], states
    assert states[-1] == job["state"]


class Crowd:
    """What many users do at random to each other's jobs."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.lock = threading.Lock()
        self.jobs: list[str] = []
        self.deleted: set[str] = set()

    def work(self, seed: int) -> None:
        choice = random.Random(seed)
        acts = [self.submit, self.submit, self.stop, self.delete, self.look]
        for _ in range(25):
            # Another one may have been quicker.
            with contextlib.suppress(Refused, NotFound):
                choice.choice(acts)(choice)

    def submit(self, choice: random.Random) -> None:
        job = self.server.send(self.folder, choice.choice(["main.py", "sleep.py"]))
        with self.lock:
            self.jobs.append(job)

    def stop(self, choice: random.Random) -> None:
        self.server.api().stop(self.any(choice))

    def delete(self, choice: random.Random) -> None:
        job = self.any(choice)
        self.server.api().delete(job)
        self.deleted.add(job)

    def look(self, choice: random.Random) -> None:
        self.server.api().queue()
        self.server.job(self.any(choice))

    def any(self, choice: random.Random) -> str:
        with self.lock:
            return choice.choice(self.jobs or ["no-such-job"])


def test_submitting_stopping_and_deleting_at_once(server: LiveServer, folder: Path) -> None:
    server.send(folder, "main.py")
    crowd = Crowd(server, folder)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(crowd.work, range(6)))
    for job in set(crowd.jobs) - crowd.deleted:
        with contextlib.suppress(Refused):
            server.api().stop(job)
        assert_legal(server.ended(job))
    for job in crowd.deleted:
        with pytest.raises(NotFound):
            server.job(job)


def test_stopping_a_job_many_times_at_once(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "sleep.py")
    server.in_state(job, "running")

    def stop(_: int) -> str:
        try:
            return server.api().stop(job)["state"]
        except Refused:
            return "over"

    with ThreadPoolExecutor(6) as pool:
        answers = Counter(pool.map(stop, range(12)))
    assert answers["stopping"] >= 1
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("stopped", "stop_requested")
    assert_legal(found)


def test_stopping_in_every_phase(server: LiveServer, folder: Path) -> None:
    """However early a stop comes, the job ends as stopped, unless it was over before."""
    for index in range(12):
        job = server.send(folder, "sleep.py")
        if index % 3:
            state = ["starting", "running"][index % 2]
            server.wait_for(
                lambda job=job, state=state: server.job(job)["state"] in (state, "running")
            )
        server.api().stop(job)
        found = server.ended(job)
        assert found["state"] == "stopped", found
        assert_legal(found)
        assert not server.workers(job)


def test_clearing_the_queue_while_it_is_filled(server: LiveServer, folder: Path) -> None:
    cleared: list[str] = []
    done = threading.Event()

    def clear() -> None:
        while not done.is_set():
            cleared.extend(server.api().clear_queue()["cleared"])

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        jobs = [server.send(folder, "main.py") for _ in range(40)]
    finally:
        done.set()
        thread.join()
    assert len(set(cleared)) == len(cleared)
    for job in jobs:
        found = server.ended(job)
        assert (found["state"] == "stopped") == (job in cleared)
        assert_legal(found)


def test_same_id_sent_by_many_is_one_job(server: LiveServer, folder: Path) -> None:
    from foundations.sending import new_job_id

    spec = server.job(server.send(folder, "main.py"))["spec"]
    job_id = new_job_id()
    with ThreadPoolExecutor(6) as pool:
        rows = list(pool.map(lambda _: server.api().submit(spec, job_id), range(6)))
    assert {row["job_id"] for row in rows} == {job_id}
    assert len(server.api().jobs()["jobs"]) == 2
    server.ended(job_id)


def test_deleting_and_submitting_the_same_code(server: LiveServer, folder: Path) -> None:
    """The files of the deleted job are those of the new one: it must not lose them."""
    for _ in range(5):
        job = server.send(folder, "main.py")
        server.completed(job)
        with ThreadPoolExecutor(2) as pool:
            deletion = pool.submit(lambda job=job: server.api().delete(job))
            submission = pool.submit(
                lambda: server.cli(
                    "submit", "--quiet", "--stream-job-logs", "False", "scheduler",
                    str(folder), "main.py",
                )
            )  # fmt: skip
            deletion.result()
            done = submission.result()
        assert done.code == 0, done
        server.completed(done.out.strip())
        server._sent.clear()
