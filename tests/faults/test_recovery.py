"""What a runner takes over from one that was killed, and what must not end a job."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive, kill_process

SCRIPTS = {
    "result": """
import foundations, pathlib
foundations.log_metric("score", 0.5)
pathlib.Path("model.bin").write_bytes(b"weights")
pathlib.Path("note.txt").write_text("kept")
foundations.save_artifact("note.txt", "note")
print("done")
""",
    "wait": """
import os, sys, time
print("up", os.getpid(), flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
""",
    "journal": """
import os, pathlib, foundations
foundations.log_metric("good", 1)
journal = pathlib.Path(os.environ["FOUNDATIONS_ATTEMPT_DIR"]) / "journal"
with open(os.path.join(os.fsencode(journal), b"bad\\xff.jsonl"), "w") as file:
    file.write('{"n": 1, "t": 1, "k": "tag", "key": "a", "value": "b"}\\n')
deep = '{"a": %s}' % ("[" * 900 + "]" * 900)
(journal / "deep.jsonl").write_text('{"n": 1, "t": 1, "k": "params", "values": %s}\\n' % deep)
""",
    "unreadable": """
import os, pathlib
pathlib.Path("a.txt").write_text("a")
os.mkfifo("pipe")
pathlib.Path("z.txt").write_text("z")
""",
    "replaced": """
import os, pathlib, shutil, sys
here = os.getcwd()
os.chdir("/")
shutil.rmtree(here)
os.symlink(sys.argv[1], here)
""",
    "interrupt": """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
""",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "scripts", **SCRIPTS)


def test_finished_job_survives_its_runner_and_the_server(server: LiveServer, folder: Path) -> None:
    """The end of a job is written down before anybody is told."""
    gate = server.root / "end"
    job = server.send(folder, "wait.py", str(gate))
    server.has_logged(job, b"up")
    runner = server.runner(job)
    attempt = server.home / "work" / job / "1"
    server.kill()
    (attempt / "job" / "made.txt").write_text("kept")
    gate.touch()
    server.wait_for((attempt / "result").exists, "result on the disk")
    kill_process(runner)
    server.restart()
    found = server.completed(job)
    assert found["exit_code"] == 0
    assert found["attempts"] == 1
    assert found["outputs"]


def test_worker_without_its_mark_ends_with_its_runner(server: LiveServer, folder: Path) -> None:
    never = str(server.root / "never")
    plain_environment = ["env", "-i", "python3"]
    job = server.send(folder, "wait.py", never, entrypoint=plain_environment)
    line = server.has_logged(job, b"up")
    worker = psutil.Process(int(line.split(b"up ")[1].split()[0]))
    kill_process(server.runner(job))
    assert server.ended(job)["reason"] == "lost"
    assert not is_alive(worker.pid)


def test_odd_journal_does_not_hold_up_its_job(server: LiveServer, folder: Path) -> None:
    job = server.completed(server.send(folder, "journal.py"))
    assert job["metrics"]["good"]["value"] == 1
    assert job["attempts"] == 1


def test_what_cannot_be_kept_does_not_fail_the_job(server: LiveServer, folder: Path) -> None:
    job = server.completed(server.send(folder, "unreadable.py"))
    assert b"pipe" in server.job_log(job["job_id"])


def test_folder_behind_a_planted_link_is_left_alone(server: LiveServer, folder: Path) -> None:
    outside = server.root / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("mine")
    job = server.completed(server.send(folder, "replaced.py", str(outside)))
    assert (outside / "precious.txt").read_text() == "mine"
    assert job["outputs"] is None


def test_very_long_timeout(server: LiveServer, folder: Path) -> None:
    gate = server.root / "end"
    gate.touch()
    server.completed(server.send(folder, "wait.py", str(gate), timeout=90 * 86400.0))


def test_job_can_be_interrupted(server: LiveServer, folder: Path) -> None:
    job = server.completed(server.send(folder, "interrupt.py"))
    assert server.job_log(job["job_id"]).endswith(b"interrupted\n")


def test_stopping_a_suspended_worker(server: LiveServer, folder: Path) -> None:
    job = server.send(folder, "wait.py", str(server.root / "never"))
    server.has_logged(job, b"up")
    for pid in server.workers(job):
        os.kill(pid, signal.SIGSTOP)
    server.api().stop(job)
    assert server.ended(job)["state"] == "stopped"
