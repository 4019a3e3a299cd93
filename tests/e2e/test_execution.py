"""Programs run by hand, as a server takes them in: while they run, after they ended, from afar."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import kill_process

WAITS = """
import os, sys, time
import foundations
foundations.log_metric("loss", 0.5, step=1)
print("begun", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
foundations.log_metric("loss", 0.25, step=2)
print("going", flush=True)
"""


class Hand:
    """Somebody who runs programs in `folder`, with the home of a server that may be there."""

    def __init__(self, live: LiveServer, folder: Path) -> None:
        self.live = live
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, text: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program, main.py."""
        (self.folder / "main.py").write_text(textwrap.dedent(text))
        process = subprocess.Popen(
            [sys.executable, "main.py", *arguments],
            cwd=self.folder,
            env={**self.live.env, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._started.append(process)
        return process

    def run(self, text: str, *arguments: str, **variables: str) -> int:
        """Run a program to its end and return its exit code."""
        return self.start(text, *arguments, **variables).wait(timeout=60)

    def close(self) -> None:
        """End what was started."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def jobs(self, project: str | None = None) -> list[dict[str, Any]]:
        """The jobs that the server knows, the newest first."""
        jobs: list[dict[str, Any]] = self.live.api().jobs(project=project, limit=100)["jobs"]
        return jobs

    def one(self, project: str) -> str:
        """The ID of the one job of a project, once there is one."""

        def found() -> str | None:
            jobs = self.jobs(project)
            assert len(jobs) < 2, jobs
            return str(jobs[0]["job_id"]) if jobs else None

        return self.live.wait_for(found, f"job of {project}")

    def left(self) -> list[str]:
        """What lies in the folder of jobs that are not taken in."""
        place = self.live.home / "local"
        return sorted(path.name for path in place.iterdir() if path.name != ".groups")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture
def hand(live: LiveServer, tmp_path: Path) -> Iterator[Hand]:
    hand = Hand(live, tmp_path / tmp_path.name)
    yield hand
    hand.close()


def project_of(hand: Hand) -> str:
    return hand.folder.name


# --- while it runs ---------------------------------------------------------------------------


def test_a_program_is_seen_while_it_runs_and_when_it_has_ended(hand, live, tmp_path):
    (hand.folder / "library.py").write_text("rate = 1\n")
    go = tmp_path / "go"
    process = hand.start(WAITS, str(go))
    job_id = hand.one(project_of(hand))
    live.has_logged(job_id, b"begun\n")
    job = live.wait_for(lambda: live.job(job_id)["metrics"] and live.job(job_id), "metric")
    assert (job["state"], job["kind"], job["command"]) == (
        "running",
        "executed",
        ["main.py", str(go)],
    )
    assert job["metrics"]["loss"]["value"] == 0.5
    assert live.api().queue()["running"] == []
    assert live.api().server()["nodes"][0]["used"]["cpus"] == 0
    go.touch()
    assert process.wait(timeout=60) == 0
    job = live.completed(job_id)
    assert live.job_log(job_id) == b"begun\ngoing\n"
    loss = job["metrics"]["loss"]
    assert (loss["value"], loss["step"], loss["count"]) == (0.25, 2, 2)
    assert job["exit_code"] == 0
    assert job["usage"]["wall_seconds"] > 0
    assert job["usage"]["cpu_seconds"] > 0
    assert job["environment"]["packages"]["pytest"]
    assert job["spec"]["origin"]["directory"] == str(hand.folder)
    live.wait_for(lambda: job_id not in hand.left(), "tidiness")


def test_it_can_be_listed_shown_fetched_compared_and_deleted(hand, live, tmp_path):
    (hand.folder / "library.py").write_text("rate = 1\n")
    (hand.folder / ".foundationsignore").write_text("secret\n")
    (hand.folder / "secret").write_text("not to be kept")
    text = "import foundations, library\nfoundations.log_param('rate', library.rate)\n"
    hand.run(text)
    first = hand.one(project_of(hand))
    live.completed(first)
    (hand.folder / "library.py").write_text("rate = 2\n")
    hand.run(text)
    live.wait_for(lambda: len(hand.jobs(project_of(hand))) == 2)
    second = hand.jobs(project_of(hand))[0]["job_id"]
    live.completed(second)

    listed = live.cli("list", "--project", project_of(hand))
    assert listed.out.count("by hand") == 2
    assert live.cli("list", "--quiet", "--kind", "scheduled").out == ""
    shown = live.cli("show", first).out
    assert "by hand" in shown
    assert "Asked for" not in shown
    difference = live.cli("diff", first, second).out
    assert "-rate = 1" in difference
    assert "+rate = 2" in difference
    assert live.cli("get", "job", "scheduler", first, "--save_dir", str(tmp_path / "f")).code == 0
    fetched = {path.name for path in (tmp_path / "f").rglob("*") if path.is_file()}
    assert fetched >= {"main.py", "library.py", ".foundationsignore"}
    assert "secret" not in fetched
    assert live.cli("delete", "job", "scheduler", first).code == 0
    assert [job["job_id"] for job in hand.jobs(project_of(hand))] == [second]


def test_it_can_be_run_again_by_the_scheduler(hand, live):
    (hand.folder / "library.py").write_text("rate = 1\n")
    text = "import sys, foundations, library\nprint(sys.argv[1:], library.rate)\n"
    hand.run(text, "--lr", "0.1")
    first = hand.one(project_of(hand))
    live.completed(first)
    (hand.folder / "library.py").write_text("rate = 2\n")
    again = str(live.api().rerun(first, {})["job_id"])
    job = live.completed(again)
    assert (job["kind"], job["spec"]["rerun_of"]) == ("scheduled", first)
    assert b"['--lr', '0.1'] 1\n" in live.job_log(again)


def test_it_can_be_stopped(hand, live, tmp_path):
    process = hand.start(WAITS, str(tmp_path / "never"))
    job_id = hand.one(project_of(hand))
    done = live.cli("stop", "scheduler", job_id)
    assert done.code == 0, done
    assert process.wait(timeout=60) == -signal.SIGTERM
    job = live.ended(job_id)
    assert (job["state"], job["reason"]) == ("stopped", "stop_requested")


def test_one_that_does_not_want_to_stop_is_killed_with_its_children(hand, live, tmp_path):
    text = f"""
        import signal, subprocess, sys, time
        import foundations
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
        foundations.log_metric("ready", 1)
        time.sleep(600)
        """
    process = hand.start(text)
    job_id = hand.one(project_of(hand))
    live.wait_for(lambda: live.job(job_id)["metrics"])
    live.api().stop(job_id)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert live.ended(job_id)["state"] == "stopped"
    child = int((tmp_path / "child").read_text())
    live.wait_for(lambda: not Path(f"/proc/{child}/exe").exists(), "end of the child")


# --- how it ended ----------------------------------------------------------------------------

ENDS = {
    "exception": ("raise ValueError('bad rate\\nreally')", 1, "ValueError: bad rate"),
    "sys.exit": ("import sys; sys.exit(3)", 3, "The program exited with code 3."),
    "text": ("import sys; sys.exit('no data')", 1, "no data"),
    "os._exit": ("import os; os._exit(4)", 4, "The program exited with code 4."),
    "interrupt": ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
}


@pytest.mark.parametrize(("end", "code", "message"), ENDS.values(), ids=ENDS)
def test_a_failure_is_told_as_it_was(hand, live, end, code, message):
    hand.run(f"import foundations\nfoundations.log_metric('m', 1)\n{end}\n")
    job = live.ended(hand.one(project_of(hand)))
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", "nonzero_exit", code)
    assert job["message"] == message
    if end.startswith("raise"):
        assert job["error"]["type"] == message.partition(":")[0]
        shown = live.cli("show", job["job_id"]).out
        assert "Traceback (most recent call last):" in shown
        assert "Error" in shown


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_program_has_failed(hand, live, tmp_path, number):
    process = hand.start(WAITS, str(tmp_path / "never"))
    job_id = hand.one(project_of(hand))
    live.has_logged(job_id, b"begun")
    process.send_signal(number)
    process.wait(timeout=60)
    job = live.ended(job_id)
    assert (job["state"], job["reason"]) == ("failed", "nonzero_exit")
    # Which signal it was only newer kernels tell those who are not the parent.
    known = (128 + number, f"The program was ended by {number.name}.")
    unknown = "The program was killed, or the system ended it, for want of memory perhaps."
    assert (job["exit_code"], job["message"]) in (known, (None, unknown))
    assert live.job_log(job_id) == b"begun\n"


def test_a_failed_submitted_job_shows_its_exception(live, tmp_path):
    folder = make_folder(
        tmp_path / "code", main="import foundations\ndef f():\n    raise KeyError('x')\nf()\n"
    )
    job = live.ended(live.send(folder, "main.py"))
    assert (job["message"], job["reason"]) == ("KeyError: 'x'", "nonzero_exit")
    assert "in f" in job["error"]["traceback"]


# --- programs that are none, and jobs that they begin ----------------------------------------


def test_a_search_is_no_job_and_what_it_submits_is(hand, live):
    make_folder(hand.folder / "job", main="print('searched')\n")
    submitted = project_of(hand) + "-submitted"
    text = f"""
        import time
        import foundations
        # Long enough to be seen before it says what it is.
        time.sleep(3)
        foundations.submit(job_directory="job", command=["main.py"], project_name={submitted!r})
        """
    assert hand.run(text) == 0
    assert live.completed(hand.one(submitted))["kind"] == "scheduled"
    live.wait_for(lambda: hand.jobs(project_of(hand)) == [], "withdrawal")
    live.wait_for(lambda: hand.left() == [], "tidiness")


def test_jobs_of_one_program_end_while_it_runs(hand, live, tmp_path):
    go = tmp_path / "go"
    text = """
        import os, sys, time
        import foundations
        with foundations.start_job(name="first", project=sys.argv[2], params={"rate": 1}):
            print("in the first")
        try:
            with foundations.start_job(name="second", project=sys.argv[2]):
                raise ValueError("no")
        except ValueError:
            pass
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
        """
    process = hand.start(text, str(go), project_of(hand))
    live.wait_for(lambda: len(hand.jobs(project_of(hand))) == 2)
    jobs = {job["name"]: live.ended(job["job_id"]) for job in hand.jobs(project_of(hand))}
    assert process.poll() is None
    go.touch()
    assert process.wait(timeout=60) == 0
    assert (jobs["first"]["state"], jobs["first"]["params"]) == ("completed", {"rate": 1})
    assert (jobs["second"]["state"], jobs["second"]["message"]) == ("failed", "ValueError: no")
    assert live.job_log(jobs["first"]["job_id"]) == b"in the first\n"
    assert len(hand.jobs(project_of(hand))) == 2


def test_ids_that_people_choose_name_jobs(hand, live):
    text = "import foundations\nfoundations.log_metric('m', 1)\n"
    hand.run(text, FOUNDATIONS_JOB_ID="Experiment.7")
    job = live.completed(hand.one(project_of(hand)))
    assert job["job_id"] == "Experiment.7"
    for reference in ("Experiment.7", "Experi"):
        shown = json.loads(live.cli("show", reference, "--json").out)
        assert shown["job_id"] == "Experiment.7"
    # Once it is gone from here, only the server knows that there was one.
    live.wait_for(lambda: hand.left() == [])
    hand.run(text, FOUNDATIONS_JOB_ID="Experiment.7")
    live.wait_for(lambda: len(hand.jobs(project_of(hand))) == 2)
    other = live.completed(hand.jobs(project_of(hand))[0]["job_id"])
    assert other["job_id"] != "Experiment.7"
    assert b"another job with the ID Experiment.7" in live.job_log(other["job_id"])
    live.wait_for(lambda: hand.left() == [], "tidiness")


# --- training in several processes -----------------------------------------------------------

RANK = """
import os, sys
import foundations
rank = int(os.environ["RANK"])
for step in range(3):
    foundations.log_metric("loss", rank, step=step)
if sys.argv[1:] == [str(rank)]:
    raise RuntimeError("rank %d broke" % rank)
"""
LAUNCHER = """
import os, subprocess, sys
processes = [
    subprocess.Popen(
        [sys.executable, "main.py", *sys.argv[1:]],
        env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"},
    )
    for rank in range(2)
]
sys.exit(max(process.wait() for process in processes))
"""


@pytest.mark.parametrize("breaks", ["", "1"])
def test_ranks_are_one_job(hand, live, breaks):
    (hand.folder / "main.py").write_text(RANK)
    (hand.folder / "launch.py").write_text(LAUNCHER)
    launcher = subprocess.run(
        [sys.executable, "launch.py", *breaks],
        cwd=hand.folder,
        env=live.env,
        capture_output=True,
        timeout=60,
    )
    assert launcher.returncode == (1 if breaks else 0)
    job = live.ended(hand.one(project_of(hand)))
    path = f"/jobs/{job['job_id']}/metrics?name=loss&ranks=true"
    points = live.api().connection.call("GET", "/api/v1" + path)["points"]
    assert sorted((rank, step) for _, _, step, _, rank in points) == [
        (rank, step) for rank in range(2) for step in range(3)
    ]
    if breaks:
        assert (job["state"], job["message"]) == ("failed", "RuntimeError: rank 1 broke")
        assert job["error"]["rank"] == 1
    else:
        assert (job["state"], job["error"]) == ("completed", None)


# --- without a server, and with one elsewhere ------------------------------------------------


def test_without_a_server_it_is_taken_in_by_the_next_one(tmp_path):
    server = LiveServer(tmp_path)
    hand = Hand(server, tmp_path / "project")
    try:
        text = "import foundations\nfoundations.log_metric('m', 1)\nprint('one')\n"
        assert hand.run(text) == 0
        assert hand.run(text + "raise ValueError('x')\n") == 1
        killed = hand.start(WAITS, str(tmp_path / "never"))
        go = tmp_path / "go"
        running = hand.start(WAITS, str(go))
        server.wait_for(lambda: len([name for name in hand.left() if ".ready" in name]) == 4)
        kill_process(killed.pid)
        killed.wait()
        before = time.time()
        server.start()
        server.wait_for(lambda: len(hand.jobs()) == 4)
        live_id = next(job["job_id"] for job in hand.jobs() if job["command"][1:] == [str(go)])
        others = [job["job_id"] for job in hand.jobs() if job["job_id"] != live_id]
        ended = [server.ended(job_id) for job_id in others]
        assert sorted(job["state"] for job in ended) == ["completed", "failed", "failed"]
        # They ended when they did, not when a server heard of it.
        assert all(job["finished_at"] < before for job in ended)
        assert server.job(live_id)["state"] == "running"
        go.touch()
        assert running.wait(timeout=60) == 0
        server.completed(live_id)
        server.wait_for(lambda: hand.left() == [], "tidiness")
    finally:
        hand.close()
        server.close()


def test_a_server_elsewhere_gets_all_of_it(tmp_path):
    (tmp_path / "there").mkdir()
    with LiveServer(tmp_path / "there") as there:
        here = LiveServer(tmp_path / "here")
        hand = Hand(here, tmp_path / "project")
        config = here.home / "config" / "submission"
        config.mkdir(parents=True)
        (config / "lab.config.yaml").write_text(f"scheduler_url: {there.url}\n")
        here.env["FOUNDATIONS_SCHEDULER"] = "lab"
        go = tmp_path / "go"
        try:
            (hand.folder / "folder").mkdir()
            (hand.folder / "folder" / "inner.txt").write_text("inner")
            text = WAITS + "foundations.save_artifact('main.py', 'code')\n"
            text += "foundations.save_artifact('folder', 'whole')\nraise ValueError('far away')\n"
            process = hand.start(text, str(go))
            away = Hand(there, tmp_path / "unused")
            job_id = away.one("project")
            there.has_logged(job_id, b"begun")
            there.kill()
            go.touch()
            assert process.wait(timeout=60) == 1
            there.restart(port=there.url.rpartition(":")[2])
            job = there.ended(job_id)
            assert (job["state"], job["message"]) == ("failed", "ValueError: far away")
            assert there.job_log(job_id).startswith(b"begun\ngoing\n")
            assert job["metrics"]["loss"]["count"] == 2
            assert sorted(item["key"] for item in job["artifacts"]) == ["code", "whole"]
            done = there.cli("get", "artifacts", job_id, "--save_dir", str(tmp_path / "got"))
            assert done.code == 0, done
            (inner,) = (tmp_path / "got").rglob("inner.txt")
            assert inner.read_text() == "inner"
            there.wait_for(lambda: hand.left() == [], "tidiness")
            assert not (here.home / "blobs").exists()
        finally:
            hand.close()
            here.close()


def test_a_job_elsewhere_that_is_stopped_is_ended_there(tmp_path):
    (tmp_path / "there").mkdir()
    with LiveServer(tmp_path / "there") as there:
        here = LiveServer(tmp_path / "here")
        hand = Hand(here, tmp_path / "project")
        config = here.home / "config" / "submission"
        config.mkdir(parents=True)
        (config / "lab.config.yaml").write_text(f"scheduler_url: {there.url}\n")
        here.env["FOUNDATIONS_SCHEDULER"] = "lab"
        try:
            process = hand.start(WAITS, str(tmp_path / "never"))
            job_id = Hand(there, tmp_path / "unused").one("project")
            there.api().stop(job_id)
            assert process.wait(timeout=60) == -signal.SIGTERM
            assert there.ended(job_id)["state"] == "stopped"
        finally:
            hand.close()
            here.close()
