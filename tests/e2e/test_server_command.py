"""The command `atlas-server`, as its owner types it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive

from foundations._version import __version__

COMMAND = [sys.executable, "-m", "atlas_server.main"]
WAITS = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
print("begun", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def home(tmp_path):
    """A home without a server."""
    server = LiveServer(tmp_path)
    yield server
    server.close()


def answers(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url + "/api/v1/health", timeout=60) as response:
        return json.load(response)


def status(home: LiveServer) -> dict[str, object]:
    return json.loads(home.server_command("status", "--json").out)


def test_life_of_a_server(home):
    started = home.server_command("start")
    assert started.code == 0, started
    assert started.out.startswith("Atlas server started: API http://127.0.0.1:")
    assert home.url in started.out
    assert home.facts["gui_url"] in started.out
    # It is ready once `start` has returned.
    assert answers(home.url)["pid"] == home.pid
    with urllib.request.urlopen(str(home.facts["gui_url"]), timeout=60) as page:
        assert b"<html" in page.read().lower()

    told = home.server_command("status")
    assert told.code == 0
    for fact in (__version__, str(home.pid), home.url, str(home.home)):
        assert fact in told.out
    here = {"running": True, "home": str(home.home), "elsewhere": []}
    assert status(home) == {**here, **home.facts}

    again = home.server_command("start")
    assert again.code == 0
    assert "already running" in again.out
    assert home.url in again.out

    stopped = home.server_command("stop")
    assert stopped.code == 0
    assert "stopped" in stopped.out
    assert not (home.home / "run" / "server.json").exists()
    assert home.processes() == []
    twice = home.server_command("stop")
    assert (twice.code, twice.out) == (0, "No Atlas server is running.\n")


def test_status_without_a_server(home):
    told = home.server_command("status")
    assert told.code == 3
    assert str(home.home) in told.out
    told = home.server_command("status", "--json")
    assert told.code == 3
    assert json.loads(told.out) == {"running": False, "home": str(home.home)}
    # Looking makes nothing.
    assert not home.home.exists()


def test_version(home):
    assert home.server_command("version").out == __version__ + "\n"


@pytest.mark.parametrize(
    "words", [[], ["begin"], ["start", "--prot", "1"], ["logs", "--tail", "x"]]
)
def test_wrong_words_show_the_usage(home, words):
    done = home.server_command(*words)
    assert done.code == 2
    assert "usage: atlas-server" in done.err


def test_logs(home):
    without = home.server_command("logs")
    assert without.code == 1
    assert "no log yet" in without.err
    log = home.home / "logs" / "server.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(300)))
    lines = home.server_command("logs").out.splitlines()
    assert len(lines) == 200
    assert lines[-1].startswith("line 299 ")
    assert home.server_command("logs", "--tail", "2").out.split()[1::3] == ["298", "299"]
    assert home.server_command("logs", "--tail", "0").out == ""
    # A reader that has seen enough is no error.
    script = f"{sys.executable} -m atlas_server.main logs --tail 300 | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script], env=home.env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("line 0 ")
    assert done.stderr == ""


LOGGER = """
import logging, subprocess, sys
from pathlib import Path
from atlas_server.log_file import LogHandler

logging.basicConfig(level=logging.INFO, handlers=[LogHandler(Path(sys.argv[1]), 500)])
other = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=sys.stderr)
for number in range(400):
    logging.info("line %d", number)
other.communicate(b"from another process\\n")
for number in range(400, 450):
    logging.info("line %d", number)
"""


def test_log_is_of_bounded_size_whoever_writes(home):
    log = home.home / "logs" / "server.log"
    log.parent.mkdir(parents=True)
    with log.open("ab") as file:
        subprocess.run([sys.executable, "-c", LOGGER, log], stderr=file, check=True)
    found = sorted(log.parent.iterdir())
    assert [path.name for path in found] == ["server.log", *(f"server.log.{n}" for n in "1234")]
    assert all(path.stat().st_size < 540 for path in found)
    lines = home.server_command("logs", "--tail", "100000").out.splitlines()
    assert lines.count("from another process") == 1
    numbers = [int(line.split()[-1]) for line in lines if "line" in line]
    assert numbers == list(range(numbers[0], 450))
    assert 0 < numbers[0] < 400


def test_foreground_until_ctrl_c(home):
    with subprocess.Popen(
        [*COMMAND, "start", "--foreground"],
        env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert home.url in line
        assert "Ctrl-C" in line
        assert home.pid == process.pid
        assert status(home)["running"] is True
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest + errors
    assert home.server_command("status").code == 3
    assert home.processes() == []


def test_two_starts_at_once_make_one_server(home):
    starts = [
        subprocess.Popen([*COMMAND, "start"], env=home.env, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [start.communicate(timeout=100)[0] for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0]
    assert all(home.url in line for line in said)
    assert sum("server started" in line for line in said) == 1
    serving = [p for p in home.processes() if "atlas_server.main" in p.cmdline()]
    assert [process.pid for process in serving] == [home.pid]


def test_second_server_in_the_foreground_is_refused(home):
    home.start()
    second = home.server_command("start", "--foreground")
    assert second.code == 1
    assert "already running" in second.err
    assert "atlas-server status" in second.err
    assert answers(home.url)["pid"] == home.pid


@pytest.mark.parametrize("option", ["--port", "--gui-port"])
def test_taken_port_is_told_with_its_owner(home, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = home.server_command("start", option, port)
    assert done.code == 1
    assert port in done.err
    assert f"process {os.getpid()}" in done.err
    assert psutil.Process().name() in done.err
    assert option in done.err
    assert home.server_command("status").code == 3


def test_servers_of_two_homes_live_side_by_side(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with LiveServer(tmp_path / "a") as first, LiveServer(tmp_path / "b") as second:
        assert answers(first.url)["home"] == str(first.home)
        assert answers(second.url)["home"] == str(second.home)
        first.stop()
        assert answers(second.url)["pid"] == second.pid


def test_state_file_of_a_killed_server_misleads_nobody(home):
    home.start()
    dead = home.facts
    home.kill()
    assert home.facts == dead
    assert home.server_command("status").code == 3
    assert home.server_command("stop").out == "No Atlas server is running.\n"
    # Another program on its port, and another process of its number, are left alone.
    host, port = dead["url"].rpartition("/")[2].split(":")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, int(port)))
        other.listen()
        home.start()
        assert home.url != dead["url"]
    assert answers(home.url)["pid"] == home.pid


def test_number_of_another_process_in_the_lock_is_not_killed(home):
    home.start()
    home.kill()
    with subprocess.Popen(["sleep", "1000"]) as other:
        (home.home / "run" / "server.lock").write_text(str(other.pid))
        assert home.server_command("stop").out == "No Atlas server is running.\n"
        assert other.poll() is None
        other.kill()


def test_stop_leaves_running_jobs_running(home, tmp_path):
    home.start()
    folder = make_folder(tmp_path / "code", main=WAITS)
    job = home.send(folder, "main.py")
    home.has_logged(job, b"begun")
    (worker,) = home.workers(job)
    done = home.server_command("stop")
    assert "jobs that run go on" in done.out
    assert is_alive(worker)
    home.start()
    assert home.job(job)["state"] == "running"
    assert home.workers(job) == [worker]
    os.kill(worker, signal.SIGUSR1)
    assert home.completed(job)["attempts"] == 1


def test_stop_ends_although_somebody_watches(home, tmp_path):
    home.start()
    folder = make_folder(tmp_path / "code", main=WAITS)
    job = home.send(folder, "main.py")
    watcher = home.spawn("get", "logs", job, "--follow")
    home.wait_for(lambda: "begun" in watcher.text(), "log line")
    assert home.server_command("stop").code == 0
    home.start()
    home.api().stop(job)
    home.ended(job)
    watcher.finish()


def test_home_that_cannot_be_written(tmp_path):
    place = tmp_path / "file"
    place.write_text("no folder")
    server = LiveServer(tmp_path, home=place / "home")
    done = server.server_command("start")
    assert done.code == 1
    assert str(place) in done.err
    assert "Traceback" not in done.err


def test_home_is_for_its_owner_alone(home):
    home.start()
    assert stat.S_IMODE(home.home.stat().st_mode) == 0o700


def test_all_that_a_server_writes_is_for_its_owner_alone(home, tmp_path):
    # In a home that others may enter, which it leaves as it is and says so.
    home.home.mkdir(mode=0o755)
    home.start()
    job = home.send(
        make_folder(tmp_path / "code", main="import os; print('mask', os.umask(0))"), "main.py"
    )
    home.completed(job)
    ours = os.umask(0o022)
    os.umask(ours)
    assert f"mask {ours}\n".encode() in home.job_log(job), "jobs are as their owner's shell"
    assert f"chmod 700 {home.home}" in home.log()
    assert [path for path in home.home.iterdir() if path.stat().st_mode & 0o077] == []
    for name in ("run/server.json", "logs/server.log", "database/atlas.db", "database/instance"):
        assert (home.home / name).stat().st_mode & 0o077 == 0, name


def test_relative_home_is_one_home(home, tmp_path):
    home.env["FOUNDATIONS_HOME"] = home.home.name
    done = home.server_command("start")
    assert done.code == 0, done
    try:
        assert json.loads(home.server_command("status", "--json").out)["home"] == str(home.home)
        assert answers(home.url)["home"] == str(home.home)
    finally:
        home.server_command("stop")


def test_home_made_by_a_client_is_for_its_owner_alone(home, tmp_path):
    folder = make_folder(tmp_path / "code", main="print(1)")
    (folder / "job.config.yaml").write_text("project_name: a")
    assert home.cli("submit", "--dry-run", "scheduler", str(folder), "main.py").code == 0
    assert stat.S_IMODE(home.home.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot: 5000", "prot"),
        ("port: many", "port"),
        ("port: 70000", "port"),
        ("cpus: -1", "cpus"),
        ("memory: lots", "lots"),
        ("- 1", "name: value"),
        ("a: [", "server.config.yaml"),
        ("host: 0.0.0.0", "has no users yet"),
        ("{host: 0.0.0.0, authentication: false}", "SSH tunnel"),
    ],
)
def test_bad_setting_is_named(home, text, named):
    file = home.home / "config" / "server.config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    for name in ("ATLAS_PORT", "ATLAS_CPUS"):
        del home.env[name]
    done = home.server_command("start")
    assert done.code == 1
    assert named in done.err
    assert "Traceback" not in done.err


def test_flags_beat_variables_which_beat_the_file(home):
    file = home.home / "config" / "server.config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("cpus: 3\nmemory: 3GB\ngpus: 3\n")
    home.env["ATLAS_CPUS"] = "5"
    home.env["ATLAS_MEMORY"] = "5GB"
    assert home.server_command("start", "--num-cpus", "7").code == 0
    (node,) = home.api().server()["nodes"]
    assert (node["cpus"], node["memory"], len(node["gpus"])) == (7, 5 << 30, 3)


def test_server_that_dies_while_it_starts_is_told(home):
    # A database that is a folder: nothing can be made of it.
    (home.home / "database" / "atlas.db").mkdir(parents=True)
    done = home.server_command("start")
    assert done.code == 1
    assert "atlas.db" in done.err
    assert "Traceback" not in done.err
    assert home.server_command("status").code == 3
