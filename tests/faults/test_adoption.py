"""Jobs run by hand, whatever is killed on the way to the server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import kill_process

TRAINS = """
import os, sys, time
import foundations
foundations.log_param("rate", 0.1)
step = 0
while not os.path.exists(sys.argv[1]):
    step += 1
    foundations.log_metric("step", step, step=step)
    print("step", step, flush=True)
    time.sleep(0.01)
foundations.log_metric("last", step)
print("last", step, flush=True)
"""


class Trained:
    """A program that trains until it is told to end."""

    def __init__(self, live: LiveServer, folder: Path) -> None:
        folder.mkdir()
        self._live = live
        self._go = folder / "go"
        (folder / "main.py").write_text(TRAINS)
        self.process = subprocess.Popen(
            [sys.executable, "main.py", str(self._go)],
            cwd=folder,
            env=live.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def job(self) -> str:
        """The ID of its job, once a server has it."""

        def found() -> str | None:
            jobs = self._live.api().jobs(limit=1)["jobs"]
            return str(jobs[0]["job_id"]) if jobs else None

        return self._live.wait_for(found, "job")

    def finish(self) -> int:
        """Let it come to its end."""
        self._go.touch()
        return self.process.wait(timeout=60)

    def check_whole(self, job_id: str) -> None:
        """Everything that it wrote must have arrived, once."""
        job = self._live.completed(job_id)
        last = int(job["metrics"]["last"]["value"])
        points = self._live.api().metric(job_id, "step")
        assert [point[3] for point in points] == list(range(1, last + 1))
        lines = self._live.job_log(job_id).decode().splitlines()
        assert lines == [*(f"step {n}" for n in range(1, last + 1)), f"last {last}"]
        assert [attempt["number"] for attempt in job["attempt_list"]] == [1]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path)
    server.start()
    yield server
    server.close()


@pytest.fixture
def trained(live: LiveServer, tmp_path: Path) -> Iterator[Trained]:
    program = Trained(live, tmp_path / "project")
    yield program
    program.process.kill()
    program.process.wait()


def steps(live: LiveServer, job_id: str, more_than: int) -> int:
    """Wait until more than so many steps have arrived."""

    def arrived() -> int | None:
        count = live.job(job_id)["metrics"].get("step", {}).get("count", 0)
        return count if count > more_than else None

    return live.wait_for(arrived, "steps")


def test_the_server_is_killed_and_comes_back(live, trained):
    job_id = trained.job()
    seen = steps(live, job_id, 0)
    live.kill()
    live.restart()
    steps(live, job_id, seen)
    assert trained.finish() == 0
    trained.check_whole(job_id)


def test_the_server_is_away_when_the_program_ends(live, trained):
    job_id = trained.job()
    steps(live, job_id, 0)
    live.kill()
    assert trained.finish() == 0
    live.restart()
    trained.check_whole(job_id)


def test_the_runner_is_killed_and_the_program_goes_on(live, trained):
    job_id = trained.job()
    for _ in range(2):
        seen = steps(live, job_id, 0)
        kill_process(live.runner(job_id))
        steps(live, job_id, seen)
    assert trained.process.poll() is None
    assert trained.finish() == 0
    trained.check_whole(job_id)


def test_server_and_runner_are_killed_and_the_program_ends_meanwhile(live, trained):
    job_id = trained.job()
    steps(live, job_id, 0)
    runner = live.runner(job_id)
    live.kill()
    kill_process(runner)
    assert trained.finish() == 0
    live.restart()
    trained.check_whole(job_id)


def test_everything_is_killed(live, trained):
    job_id = trained.job()
    steps(live, job_id, 0)
    runner = live.runner(job_id)
    live.kill()
    kill_process(runner)
    kill_process(trained.process.pid)
    trained.process.wait()
    live.restart()
    job = live.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "nonzero_exit")
    assert "killed" in job["message"]
    # What was written before the kill is there, to the last line.
    count = job["metrics"]["step"]["count"]
    lines = live.job_log(job_id).decode().splitlines()
    assert len(lines) in (count, count - 1)
    live.wait_for(lambda: not (live.home / "local" / job_id).exists(), "tidiness")


LOGS = """
import os, sys, time
import foundations
foundations.log_metric("begun", 1)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
for step in range(3000):
    foundations.log_metric("step", step, step=step)
open(sys.argv[2], "w").close()
while not os.path.exists(sys.argv[3]):
    time.sleep(0.01)
for step in range(3000, 6000):
    foundations.log_metric("step", step, step=step)
"""


def test_a_server_that_is_away_for_long_gets_everything_once(live, tmp_path):
    """Of a submitted job and one run by hand, whose journals grow over many files meanwhile."""
    limit = 800_000
    variables = {"FOUNDATIONS_JOURNAL_LIMIT": str(limit)}
    folder = make_folder(tmp_path / "project", main=LOGS)
    gates = [tmp_path / name for name in ("away", "submitted", "by hand", "back")]
    away, *_, back = map(str, gates)
    sent = live.send(folder, "main.py", away, str(gates[1]), back, environment=variables)
    process = subprocess.Popen(
        [sys.executable, "main.py", away, str(gates[2]), back],
        cwd=folder,
        env={**live.env, **variables, "FOUNDATIONS_JOB_ID": "by-hand"},
    )
    try:
        for job_id in (sent, "by-hand"):
            live.wait_for(lambda job_id=job_id: "begun" in live.job(job_id)["metrics"], job_id)
        live.kill()
        gates[0].touch()
        for gate in gates[1:3]:
            live.wait_for(gate.exists, gate.name)
        for place in (live.home / "work" / sent / "1", live.home / "local" / "by-hand"):
            sizes = [path.stat().st_size for path in (place / "journal").glob("*.jsonl")]
            assert len(sizes) > 4
            assert sum(sizes) <= limit
        live.restart()
        for job_id in (sent, "by-hand"):
            assert steps(live, job_id, 2999) == 3000
        gates[3].touch()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    for job_id in (sent, "by-hand"):
        job = live.completed(job_id)
        points = live.api().metric(job_id, "step")
        assert [point[3] for point in points] == list(range(6000))
        assert [attempt["number"] for attempt in job["attempt_list"]] == [1]
        assert b"WARNING" not in live.job_log(job_id)


def test_the_one_who_keeps_the_code_is_killed(live, tmp_path):
    # It would have offered the job: without it the server takes the job when that is over.
    live.kill()
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "main.py").write_text("import foundations\nfoundations.log_metric('m', 1)\n")
    subprocess.run([sys.executable, "main.py"], cwd=folder, env=live.env, check=True, timeout=60)
    place = live.home / "local"
    live.wait_for(lambda: list(place.glob("*.ready")), "offer")
    for mark in place.glob("*.ready"):
        mark.unlink()
    for left in place.glob("*/spec.json"):
        left.unlink()
    for facts in place.glob("*/facts.json"):
        os.utime(facts, (0, 1_000_000_000))
    live.restart()
    jobs = live.wait_for(lambda: live.api().jobs(limit=10)["jobs"], "job")
    job = live.completed(jobs[0]["job_id"])
    assert job["metrics"]["m"]["count"] == 1
    assert job["command"] == [str(folder / "main.py")]


def test_a_broken_folder_holds_up_no_other(live, tmp_path):
    place = live.home / "local"
    for name, facts in (("broken", "{"), ("empty", "{}"), ("wrong", '{"started_at": "x"}')):
        (place / name / "processes").mkdir(parents=True)
        (place / name / "facts.json").write_text(facts)
        (place / f"{name}.ready").touch()
    program = Trained(live, tmp_path / "project")
    job_id = program.job()
    assert program.finish() == 0
    program.check_whole(job_id)
    assert [job["job_id"] for job in live.api().jobs(limit=10)["jobs"]] == [job_id]
