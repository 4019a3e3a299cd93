"""The disk is full: said clearly, nothing half done, and all goes on once there is room."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

TALK = """
import os, sys, time
import foundations
n = 0
while not os.path.exists(sys.argv[1]):
    n += 1
    print("line", n, "x" * 2000)
    foundations.log_metric("n", n, step=n)
    time.sleep(0.002)
print("total", n)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server whose home lies on a small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with LiveServer(tmp_path, home=disk / "home") as server:
            yield server
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", main="print('hello')\n", talk=TALK)


def fill(disk: Path) -> Path:
    """Use up every byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                if file.write(b"\0" * size) < size:
                    size //= 2
            except OSError:
                size //= 2
    return ballast


def test_submitting_to_a_full_disk_is_refused_and_works_again(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    (folder / "data.bin").write_bytes(bytes(range(256)) * 4000)
    ballast = fill(tmp_path / "disk")
    done = server.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 1, done
    assert "disk" in done.err
    assert "full" in done.err
    assert "Traceback" not in done.err + done.out
    assert "submitted with ID" not in done.out
    ballast.unlink()
    assert server.api().jobs()["jobs"] == []
    done = server.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 0, done
    assert "hello" in done.out


def test_known_code_on_a_full_disk(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    """Nothing has to be sent any more; the row itself finds no room, or the job waits for it."""
    server.completed(server.send(folder, "main.py"))
    ballast = fill(tmp_path / "disk")
    done = server.cli("submit", "scheduler", str(folder), "main.py")
    assert "Traceback" not in done.err + done.out
    ballast.unlink()
    server.completed(server.send(folder, "main.py"))
    for job in server.api().jobs()["jobs"]:
        server.ended(job["job_id"])


def test_running_job_meets_a_full_disk(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    """The worker's own output shares the disk, so it may fail; what was kept is consistent."""
    end = tmp_path / "end"
    job = server.send(folder, "talk.py", str(end))
    server.has_logged(job, b"line 30 ")
    ballast = fill(tmp_path / "disk")
    server.wait_for(lambda: not server.workers(job), "end of the worker")
    ballast.unlink()
    end.touch()
    found = server.ended(job)
    log = server.job_log(job)
    numbers = [int(n) for n in re.findall(rb"^line (\d+) ", log, re.MULTILINE)]
    assert numbers[:30] == list(range(1, 31))
    assert len(set(numbers)) == len(numbers)
    points = [point[3] for point in server.api().metric(job, "n")]
    assert points == sorted(set(points))
    assert found["state"] in ("completed", "failed")
    server.completed(server.send(folder, "main.py"))


def test_server_starts_on_a_full_disk_or_says_why(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    server.completed(server.send(folder, "main.py"))
    server.stop()
    ballast = fill(tmp_path / "disk")
    done = server.server_command("start")
    assert "Traceback" not in done.out + done.err
    assert done.code == 0 or "full" in done.err or "No space" in done.err, done
    ballast.unlink()
    server.start()
    server.completed(server.send(folder, "main.py"))
