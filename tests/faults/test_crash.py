"""Processes of Atlas die in every combination; nothing submitted is lost or done twice."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, Spawned, make_folder
from tests.processes import is_alive, kill_process
from tests.programs import MARKER, TALKER

from foundations.errors import FoundationsError

WAITER = (
    "import os, sys, time\nprint('up')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", talk=TALKER, mark=MARKER, wait=WAITER)


def assert_complete(server: LiveServer, job_id: str) -> None:
    """Every line and every point is there, once, in order."""
    log = server.job_log(job_id).decode()
    total = int(re.search(r"total (\d+)", log)[1])  # type: ignore[index]
    assert [int(n) for n in re.findall(r"^line (\d+)$", log, re.MULTILINE)] == list(
        range(1, total + 1)
    )
    points = server.api().metric(job_id, "n")
    assert [point[3] for point in points] == list(range(1, total + 1))


def test_running_jobs_go_on_while_the_server_is_dead(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    ends = [tmp_path / "end-0", tmp_path / "end-1"]
    jobs = [server.send(folder, "talk.py", str(end)) for end in ends]
    for job in jobs:
        server.has_logged(job, b"line 20\n")
    server.kill()
    ends[0].touch()  # one ends while the server is away, the other after it is back
    server.wait_for(lambda: len([p for p in server.processes() if "talk.py" in p.cmdline()]) == 1)
    server.restart()
    server.completed(jobs[0])
    assert server.in_state(jobs[1], "running")["attempts"] == 1
    ends[1].touch()
    server.completed(jobs[1])
    for job in jobs:
        assert_complete(server, job)
        assert server.job(job)["attempts"] == 1


def test_server_killed_again_and_again_loses_nothing(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    job = server.send(folder, "talk.py", str(tmp_path / "end"))
    for round_number in range(1, 4):
        server.has_logged(job, b"line %d\n" % (round_number * 30))
        server.kill()
        server.restart()
    (tmp_path / "end").touch()
    server.completed(job)
    assert_complete(server, job)


def test_queued_jobs_survive_and_run_exactly_once(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    blockers = [server.send(folder, "wait.py", str(tmp_path / "end")) for _ in range(2)]
    for job in blockers:
        server.has_logged(job, b"up")
    queued = [server.send(folder, "mark.py", str(marks)) for _ in range(15)]
    server.kill()
    server.restart()
    assert all(server.job(job)["state"] == "queued" for job in queued)
    (tmp_path / "end").touch()
    for job in [*blockers, *queued]:
        server.completed(job)
    assert Counter(marks.read_text().split()) == Counter(queued)


def test_server_killed_while_jobs_start_and_end(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    """At whatever moment it dies, each accepted job runs once."""
    marks = tmp_path / "marks"
    choice = random.Random(7)
    accepted: list[str] = []
    for _ in range(4):
        burst = [server.send(folder, "mark.py", str(marks)) for _ in range(12)]
        accepted += burst
        # Somewhere in the middle of them.
        moment = choice.randrange(12)
        server.wait_for(
            lambda burst=burst, moment=moment: server.job(burst[moment])["state"] != "queued"
        )
        server.kill()
        server.restart()
    for job in accepted:
        server.completed(job)
    assert Counter(marks.read_text().split()) == Counter(accepted)


def test_what_was_printed_as_submitted_exists_after_a_kill(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    printed: list[str] = []
    for _ in range(3):
        done = threading.Event()

        def submit_until_refused(done: threading.Event = done) -> None:
            try:
                while True:
                    printed.append(server.send(folder, "mark.py", str(marks)))
                    if len(printed) % 10 == 9:
                        done.set()
            except FoundationsError:
                done.set()

        server.send(folder, "mark.py", str(tmp_path / "other"))
        thread = threading.Thread(target=submit_until_refused)
        thread.start()
        assert done.wait(30)
        server.kill()
        thread.join()
        server.restart()
    for job in printed:
        server.completed(job)
    assert not Counter(printed) - Counter(marks.read_text().split())
    assert max(Counter(marks.read_text().split()).values()) == 1


def test_killed_runner_is_lost_and_keeps_what_it_had(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    job = server.send(folder, "talk.py", str(tmp_path / "never"))
    server.has_logged(job, b"line 30\n")
    workers = server.workers(job)
    kill_process(server.runner(job))
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("failed", "lost")
    assert "runner died" in found["message"]
    assert not any(map(is_alive, workers))
    numbers = [int(n) for n in re.findall(rb"^line (\d+)$", server.job_log(job), re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 30
    points = [point[3] for point in server.api().metric(job, "n")]
    assert points == list(range(1, len(points) + 1))
    # The last line was printed before its point was logged.
    assert len(numbers) - 1 <= len(points) <= len(numbers)


def test_runner_told_to_end_by_somebody_else(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    """As when the machine shuts down: nobody asked Atlas to stop the job."""
    job = server.send(folder, "wait.py", str(tmp_path / "never"))
    again = server.send(folder, "wait.py", str(tmp_path / "end"), retries=1)
    for each in (job, again):
        server.has_logged(each, b"up")
        os.kill(server.runner(each), signal.SIGTERM)
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("failed", "preempted")
    assert "shuts down" in found["message"]
    (tmp_path / "end").touch()
    assert server.completed(again)["attempts"] == 2


def test_killed_runner_with_a_retry_left(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    job = server.send(folder, "wait.py", str(tmp_path / "end"), retries=1)
    server.has_logged(job, b"up")
    kill_process(server.runner(job))
    server.wait_for(lambda: server.job(job)["attempts"] == 2)
    (tmp_path / "end").touch()
    found = server.completed(job)
    assert [attempt["reason"] for attempt in found["attempt_list"]] == ["lost", None]


def test_killed_worker_names_the_signal(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    job = server.send(folder, "wait.py", str(tmp_path / "never"))
    server.has_logged(job, b"up")
    (worker,) = server.workers(job)
    os.kill(worker, signal.SIGKILL)
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("failed", "nonzero_exit")
    assert "SIGKILL" in found["message"]
    assert found["exit_code"] == 137


def test_everything_killed_at_once(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    running = [server.send(folder, "wait.py", str(tmp_path / "end")) for _ in range(2)]
    for job in running:
        server.has_logged(job, b"up")
    waiting = server.send(folder, "mark.py", str(tmp_path / "marks"))
    for process in server.processes():
        process.kill()
    server.wait_for(lambda: len(server.processes()) == 0)
    server.restart()
    for job in running:
        found = server.ended(job)
        assert (found["state"], found["reason"]) == ("failed", "lost")
        assert b"up" in server.job_log(job)
    server.completed(waiting)
    assert (tmp_path / "marks").read_text() == waiting + "\n"


def test_runner_killed_while_the_server_is_dead(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    job = server.send(folder, "wait.py", str(tmp_path / "never"))
    server.has_logged(job, b"up")
    runner, workers = server.runner(job), server.workers(job)
    server.kill()
    kill_process(runner)
    server.restart()
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("failed", "lost")
    assert not any(is_alive(pid) for pid in workers)


def test_killed_fork_server_is_replaced(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    before = server.send(folder, "wait.py", str(tmp_path / "end"))
    server.has_logged(before, b"up")
    kill_process(server.fork_server())
    after = server.send(folder, "mark.py", str(tmp_path / "marks"))
    server.completed(after)
    (tmp_path / "end").touch()
    server.completed(before)


def test_fork_server_killed_under_load(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    jobs = []
    for _ in range(6):
        kill_process(server.fork_server())
        jobs += [server.send(folder, "mark.py", str(marks)) for _ in range(4)]
    for job in jobs:
        server.completed(job)
    assert Counter(marks.read_text().split()) == Counter(jobs)


def test_server_killed_between_the_decision_to_start_a_job_and_its_start(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    fork_server = server.fork_server()
    os.kill(fork_server, signal.SIGSTOP)
    job = server.send(folder, "mark.py", str(tmp_path / "marks"))
    server.in_state(job, "starting")
    server.kill()
    kill_process(fork_server)
    server.restart(lease=2)
    found = server.completed(job)
    assert [attempt["reason"] for attempt in found["attempt_list"]] == ["lost", None]
    assert (tmp_path / "marks").read_text() == job + "\n"


def test_runner_that_starts_after_its_server_was_killed(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    fork_server = server.fork_server()
    os.kill(fork_server, signal.SIGSTOP)
    job = server.send(folder, "mark.py", str(tmp_path / "marks"))
    server.in_state(job, "starting")
    server.kill()
    os.kill(fork_server, signal.SIGCONT)
    server.wait_for((tmp_path / "marks").exists)
    server.restart()
    assert server.completed(job)["attempts"] == 1
    assert (tmp_path / "marks").read_text() == job + "\n"


def test_runner_taken_for_dead_while_itis_alive(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    """It was forked for a server that died and is silent for longer than its lease."""
    job = server.send(folder, "wait.py", str(tmp_path / "end"))
    server.has_logged(job, b"up")
    runner = server.runner(job)
    server.kill()
    os.kill(runner, signal.SIGSTOP)
    forget_handle(server.home, job)
    server.restart(lease=0.5)
    server.wait_for(lambda: "never reported" in server.log())
    os.kill(runner, signal.SIGCONT)
    (tmp_path / "end").touch()
    assert server.completed(job)["attempts"] == 1


def forget_handle(home: Path, job_id: str) -> None:
    """What the database says of an attempt whose runner has not reported yet."""
    with contextlib.closing(sqlite3.connect(home / "database" / "atlas.db")) as connection:
        connection.execute("UPDATE attempts SET handle = NULL")
        connection.commit()


def test_stopped_while_the_server_was_restarted(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    job = server.send(folder, "wait.py", str(tmp_path / "never"))
    server.has_logged(job, b"up")
    os.kill(server.runner(job), signal.SIGSTOP)  # so that it cannot act on the wish yet
    assert server.api().stop(job)["state"] == "stopping"
    runner = server.runner(job)
    server.kill()
    server.restart()
    os.kill(runner, signal.SIGCONT)
    assert server.ended(job)["state"] == "stopped"


def test_streaming_survives_a_restart_on_another_port(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    client: Spawned = server.spawn("submit", "scheduler", str(folder), "talk.py", str(end))
    server.wait_for(lambda: "line 20\n" in client.text())
    old = server.url
    server.kill()
    # The old port is taken meanwhile, so that the server must come back on another one.
    server.wait_for(lambda: "does not answer" in client.text())
    server.restart(port=_other_port(old))
    assert server.url != old
    far = len(client.text()) + 2000
    server.wait_for(lambda: len(client.text()) > far)
    end.touch()
    done = client.finish()
    assert done.code == 0, done.out
    total = int(re.search(r"total (\d+)", done.out)[1])  # type: ignore[index]
    seen = [int(n) for n in re.findall(r"^line (\d+)$", done.out, re.MULTILINE)]
    assert seen == list(range(1, total + 1))
    assert "has completed" in done.out


def _other_port(url: str) -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert not url.endswith(f":{port}")
    return int(port)
