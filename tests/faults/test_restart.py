"""Starting and stopping servers: one for each home, found wherever it is."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.live import Done, LiveServer, make_folder
from tests.processes import kill_process

WAIT = (
    "import os, sys, time\nprint('up')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
)


@pytest.fixture
def down(tmp_path: Path) -> Iterator[LiveServer]:
    """A home without a running server."""
    server = LiveServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", main="print('hello')\n", wait=WAIT)


def servers_of(server: LiveServer) -> int:
    return sum("atlas_server.main" in process.cmdline() for process in server.processes())


def one_is_left(server: LiveServer) -> None:
    """Those that found another one starting may take a moment to end."""
    server.wait_for(lambda: servers_of(server) == 1, "exactly one server")


def assert_refused(done: Done, *words: str) -> None:
    """It failed with one clear line that holds `words`."""
    assert done.code == 1, done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.err


def test_submitting_without_a_server_starts_one_and_says_so(down: LiveServer, folder: Path) -> None:
    done = down.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 0, done
    assert "starting one" in done.out
    assert f"Atlas server started at {down.url}. It runs until: atlas-server stop" in done.out
    again = down.cli("submit", "scheduler", str(folder), "main.py")
    assert "starting" not in again.out
    assert "hello" in again.out


def test_folder_with_names_of_the_standard_library_starts_a_server(
    down: LiveServer, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "mine", main="print('hello')\n", logging="raise SystemExit(9)")
    # -P: as the command `foundations` itself, which imports nothing from where it is typed.
    done = down._run([sys.executable, "-P", "-m", "foundations", "list"], cwd=folder)
    assert done.code == 0, done
    job = down.send(folder, "main.py")
    assert down.ended(job)["state"] in ("completed", "failed")


def test_many_submits_at_once_start_exactly_one_server(down: LiveServer, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda _: down.cli("submit", "scheduler", str(folder), "main.py"), range(4))
        )
    assert [each.code for each in done] == [0] * 4, done
    one_is_left(down)
    assert len(down.api().jobs()["jobs"]) == 4


def test_many_submits_at_once_after_a_kill(down: LiveServer, folder: Path) -> None:
    """What the killed server left behind leads nobody astray while another one starts."""
    down.start()
    down.kill()
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda _: down.cli("submit", "scheduler", str(folder), "main.py"), range(4))
        )
    assert [each.code for each in done] == [0] * 4, done
    one_is_left(down)


def test_submitting_after_the_server_was_killed_starts_another(
    down: LiveServer, folder: Path
) -> None:
    down.start()
    down.kill()
    done = down.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 0, done
    assert "starting one" in done.out


def test_submitting_with_a_broken_state_file(down: LiveServer, folder: Path) -> None:
    down.start()
    down.kill()
    (down.home / "run" / "server.json").write_bytes(b"\0{broken")
    done = down.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 0, done


def test_another_program_on_the_port_of_a_dead_server(down: LiveServer, folder: Path) -> None:
    """The state file of a killed server names a port that now belongs to somebody else."""
    down.start()
    down.kill()
    port = int(down.url.rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        done = down.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 0, done
    assert "hello" in done.out


def test_starting_twice_is_harmless(down: LiveServer) -> None:
    down.start()
    again = down.server_command("start")
    assert again.code == 0
    assert "is already running" in again.out
    one_is_left(down)


def test_taken_port_names_who_has_it(down: LiveServer) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = down.server_command("start", "--port", str(port))
    assert_refused(done, f"Port {port} is taken by", f"process {os.getpid()}", "--port PORT")
    down.wait_for(lambda: servers_of(down) == 0)


def test_submit_says_why_no_server_could_be_started(down: LiveServer, folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        down.env["ATLAS_PORT"] = str(other.getsockname()[1])
        done = down.cli("submit", "scheduler", str(folder), "main.py")
    assert_refused(done, "No Atlas server could be started", "is taken by")


def test_jobs_go_on_while_the_server_is_stopped(
    down: LiveServer, folder: Path, tmp_path: Path
) -> None:
    down.start()
    end = tmp_path / "end"
    job = down.send(folder, "wait.py", str(end))
    down.has_logged(job, b"up")
    down.stop()
    assert servers_of(down) == 0
    end.touch()
    down.start()
    assert down.completed(job)["attempts"] == 1


def test_stopping_the_server_ends_streams_that_come_back(
    down: LiveServer, folder: Path, tmp_path: Path
) -> None:
    down.start()
    end = tmp_path / "end"
    client = down.spawn("submit", "scheduler", str(folder), "wait.py", str(end))
    down.wait_for(lambda: "\nup\n" in client.text())
    down.stop()
    down.wait_for(lambda: "does not answer" in client.text())
    down.start()
    end.touch()
    done = client.finish()
    assert done.code == 0, done
    assert done.out.count("\nup\n") == 1


def test_database_of_a_newer_version_is_left_alone(down: LiveServer) -> None:
    down.start()
    down.stop()
    with closing(sqlite3.connect(down.home / "database" / "atlas.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    done = down.server_command("start")
    assert_refused(done, "newer Atlas")


def test_broken_database_is_named(down: LiveServer) -> None:
    down.start()
    down.stop()
    database = down.home / "database" / "atlas.db"
    database.write_bytes(b"this is no database" * 1000)
    for extra in ("-wal", "-shm"):
        database.with_name("atlas.db" + extra).unlink(missing_ok=True)
    done = down.server_command("start")
    assert_refused(done, str(database))


def test_unwritable_home_is_named(down: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the home should be")
    done = down.server_command("start")
    assert_refused(done, str(tmp_path / "home"))


def test_idle_server_that_lost_its_fork_server_still_stops(down: LiveServer) -> None:
    down.start()
    kill_process(down.fork_server())
    down.stop()
    assert servers_of(down) == 0


def test_restart_keeps_what_was_sent(down: LiveServer, folder: Path) -> None:
    down.start()
    job = down.send(folder, "main.py", name="kept")
    down.completed(job)
    before = down.job(job)
    down.stop()
    down.start()
    assert down.job(job) == before
    assert b"hello" in down.job_log(job)
