"""A server of several processes on PostgreSQL, any of which dies, sleeps or starts again."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive, kill_process
from tests.programs import MARKER, TALKER

from foundations.client.api import Api
from foundations.errors import FoundationsError

pytestmark = pytest.mark.postgres


class Several(LiveServer):
    """Processes of one server, by their names."""

    def pids(self) -> dict[str, int]:
        said = json.loads(self.server_command("status", "--json").out)
        return {each["name"]: each["pid"] for each in said.get("processes", [said])}

    def state(self, name: str) -> dict[str, Any]:
        return json.loads((self.home / "run" / f"process-{name}.json").read_text())

    def own_log(self, name: str) -> str:
        return (self.home / "logs" / f"{name}.log").read_text()

    def leader(self) -> str:
        """The name of the process that schedules, as its lease says."""
        (row,) = self.cluster.sql("SELECT holder FROM scheduler_lease", self.database)
        return str(row[0]).split(":")[1]

    def lines_and_points(self, job_id: str) -> None:
        """Every line and every point is there, once, in order."""
        log = self.job_log(job_id).decode()
        total = int(re.search(r"total (\d+)", log)[1])  # type: ignore[index]
        everything = list(range(1, total + 1))
        assert [int(n) for n in re.findall(r"^line (\d+)$", log, re.MULTILINE)] == everything
        assert [point[3] for point in self.api().metric(job_id, "n")] == everything


@pytest.fixture
def server(cluster, tmp_path: Path) -> Iterator[Several]:
    database = cluster.create()
    settings = {"database_url": cluster.url(database), "takeover": 2}
    server = Several(tmp_path, settings=settings)
    server.cluster, server.database = cluster, database
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", talk=TALKER, mark=MARKER)


def test_schedulers_that_die_and_sleep(server: Several, folder: Path, tmp_path: Path) -> None:
    server.start("--role", "api")
    marks, end = tmp_path / "marks", tmp_path / "end"
    with pytest.raises(FoundationsError, match="No process of this server schedules yet"):
        server.send(folder, "mark.py", str(marks))
    server.start("--role", "scheduler", "--name", "first")
    server.start("--role", "scheduler", "--name", "second")
    assert server.leader() == "first"
    talker = server.send(folder, "talk.py", str(end))
    server.has_logged(talker, b"line 20\n")

    accepted: list[str] = []
    for _ in range(8):
        accepted.append(server.send(folder, "mark.py", str(marks)))
    kill_process(server.pids()["first"])
    server.wait_for(lambda: server.leader() == "second", "take-over")
    for job in accepted:
        server.completed(job)
    # The one that has slept wakes up and writes nothing.
    server.start("--role", "scheduler", "--name", "first")
    sleeper = server.pids()["second"]
    os.kill(sleeper, signal.SIGSTOP)
    accepted += [server.send(folder, "mark.py", str(marks)) for _ in range(5)]
    server.wait_for(lambda: server.leader() == "first", "take-over")
    os.kill(sleeper, signal.SIGCONT)
    accepted += [server.send(folder, "mark.py", str(marks)) for _ in range(5)]
    for job in accepted:
        assert server.completed(job)["attempts"] == 1
    server.wait_for(lambda: "schedules no more" in server.own_log("second"), "insight")
    assert Counter(marks.read_text().split()) == Counter(accepted)
    # One that is stopped hands over at once; what runs is not disturbed by any of it.
    assert server.server_command("stop", "--name", "first").code == 0
    server.wait_for(lambda: server.leader() == "second", "hand-over")
    end.touch()
    assert server.completed(talker)["attempts"] == 1
    server.lines_and_points(talker)
    assert "Traceback" not in server.own_log("first") + server.own_log("second")


def test_two_apis_and_whoever_follows(server: Several, folder: Path, tmp_path: Path) -> None:
    server.start("--role", "api", "--name", "one")
    server.start("--role", "api", "--name", "two")
    server.start("--role", "scheduler")
    end = tmp_path / "end"
    one, two = server.state("one")["url"], server.state("two")["url"]
    assert server.url == one
    job = server.send(folder, "talk.py", str(end))
    server.has_logged(job, b"line 10\n")
    # What one process is told the other one's followers see.
    follower = server.spawn("get", "logs", "scheduler", job, "--follow")
    server.wait_for(lambda: "line 30\n" in follower.text(), "lines")
    other = Api(two)
    events = other.stream(job, 0, 0, None)
    seen = next(data for event, data in events if event == "log" and "line 30\n" in data["text"])
    assert seen["attempt"] == 1
    kill_process(server.pids()["one"])
    server.wait_for(lambda: server.url == two, "signpost")
    before = follower.text().count("\n")
    server.wait_for(lambda: follower.text().count("\n") > before + 50, "more lines")
    end.touch()
    done = follower.finish()
    assert done.code == 0, done
    assert server.completed(job)["attempts"] == 1
    lines = [int(n) for n in re.findall(r"^line (\d+)$", done.out, re.MULTILINE)]
    assert lines == list(range(1, len(lines) + 1))
    assert f"total {len(lines)}" in done.out
    server.lines_and_points(job)
    other.close()
    # The first one comes back; everything is stopped by one command.
    server.start("--role", "api", "--name", "one")
    assert set(server.pids()) == {"one", "two", "scheduler"}
    server.stop()
    assert server.server_command("status").code == 3


def test_database_killed_under_load(own_cluster, folder: Path, tmp_path: Path) -> None:
    cluster = own_cluster
    settings = {"database_url": cluster.url(cluster.create()), "takeover": 2}
    marks, end = tmp_path / "marks", tmp_path / "end"
    with LiveServer(tmp_path, settings=settings) as server:
        talker = server.send(folder, "talk.py", str(end))
        accepted: list[str] = []
        refused: list[FoundationsError] = []
        stopping = threading.Event()

        def submit() -> None:
            while not stopping.is_set():
                try:
                    accepted.append(server.send(folder, "mark.py", str(marks), timeout=60))
                except FoundationsError as error:
                    refused.append(error)
                    stopping.wait(0.05)

        threads = [threading.Thread(target=submit) for _ in range(3)]
        server.send(folder, "mark.py", str(tmp_path / "other"))
        for thread in threads:
            thread.start()
        for round_number in range(2):
            known = len(accepted)
            server.wait_for(lambda known=known: len(accepted) > known + 10, "submissions")
            cluster.kill()
            if round_number:
                # Longer than requests wait.
                server.wait_for(lambda: refused, "refusal")
            cluster.start()
        known = len(accepted)
        server.wait_for(lambda: len(accepted) > known + 5, "submissions after all")
        stopping.set()
        for thread in threads:
            thread.join()
        assert all(error.code in ("unavailable", "unreachable") for error in refused), refused
        for job in accepted:
            assert server.completed(job)["attempts"] == 1
        counted = Counter(marks.read_text().split())
        assert not Counter(accepted) - counted
        assert max(counted.values()) == 1
        end.touch()
        assert server.completed(talker)["attempts"] == 1
        Several.lines_and_points(server, talker)  # type: ignore[arg-type]
        assert is_alive(server.pid)
