"""What was saved while a server worked is all there where it is restored."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

JOB = """
import sys, time, foundations
foundations.log_metric("n", int(sys.argv[1]))
open("made.txt", "w").write(sys.argv[1] * 1000)
foundations.save_artifact("made.txt", "made")
print("job", sys.argv[1])
"""
WAIT = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"


def test_saved_under_load_restored_and_whole(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main=JOB, wait=WAIT)
    target, end = tmp_path / "saved", tmp_path / "end"
    with LiveServer(tmp_path, cpus=4) as server:
        running = server.send(folder, "wait.py", str(end))
        server.in_state(running, "running")
        done = [server.send(folder, "main.py", "1")]
        server.completed(done[0])
        stop, errors = threading.Event(), list[Exception]()

        def churn() -> None:
            """Submit and delete jobs, as users do meanwhile."""
            try:
                number = 2
                while not stop.is_set():
                    job = server.send(folder, "main.py", str(number))
                    server.completed(job)
                    if number % 2:
                        server.api().delete(job)
                    number += 1
            except Exception as error:  # noqa: BLE001 - shown below
                errors.append(error)

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(2):
                saved = server.server_command("backup", str(target))
                assert saved.code == 0, saved
        finally:
            stop.set()
            thread.join()
        assert not errors, errors
        checked = server.server_command("backup", str(target), "--verify")
        assert checked.code == 0, checked
        assert "sound" in checked.out
        assert sorted(path.name for path in (target / "database").iterdir()) == [
            "atlas.db", "instance", "key",
        ]  # fmt: skip
        refused = server.server_command("restore", str(target))
        assert refused.code == 1, refused
        assert "nothing is overwritten" in refused.err
        end.touch()
        server.completed(running)
    again = LiveServer(tmp_path / "again", cpus=4)
    again.root.mkdir()
    assert again.server_command("restore", str(target)).code == 0
    with again:
        assert again.job(done[0])["state"] == "completed"
        assert b"job 1" in again.job_log(done[0])
        fetched = again.cli("get", "job", "scheduler", done[0], "--save_dir", str(tmp_path / "got"))
        assert fetched.code == 0, fetched
        assert (tmp_path / "got" / done[0] / "made.txt").read_text() == "1" * 1000
        # What ran then runs once more: its processes are not this server's.
        assert again.completed(running)["attempts"] == 2
        again.completed(again.send(folder, "main.py", "99"))
    _check_damage_is_found(again, target, again._sent[folder])


def _check_damage_is_found(server: LiveServer, target: Path, digest: str) -> None:
    blob = target / "blobs" / digest[:2] / digest[2:]
    blob.chmod(0o600)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    found = server.server_command("backup", str(target), "--verify")
    assert found.code == 1, found
    assert "1 of" in found.err
    (target / "backup.json").unlink()
    for words in (["restore", str(target)], ["backup", str(target), "--verify"]):
        refused = server.server_command(*words)
        assert (refused.code, "is no backup" in refused.err) == (1, True), refused


def test_the_unit_is_one(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    shown = server.server_command("systemd", "--user", "root")
    assert shown.code == 0, shown
    assert "KillMode=process" in shown.out
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "atlas.service"
    unit.write_text(shown.out)
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "atlas.service" in line]
    assert ours == [], done.stderr
