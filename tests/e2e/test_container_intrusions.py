"""A container's job that tries to reach what of the machine it was not given."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import LiveServer, make_folder

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SECRET = "known only to " + secrets.token_hex()
WRITE = """
import json, os, sys

attempt = os.environ["FOUNDATIONS_ATTEMPT_DIR"]
artifacts, journal = attempt + "/artifacts", attempt + "/journal"
outside = sys.argv[1]

def record(kind, **fields):
    with open(journal + "/intruder.jsonl", "a") as file:
        file.write(json.dumps({"k": kind, "t": 1.0, **fields}) + "\\n")
"""

LINKED_ARTIFACTS = """
os.symlink(outside, artifacts + "/link")
record("artifact", key="file", staged="link/secret", filename="secret")
record("artifact", key="folder", staged="link", filename="folder")
record("file", directory="results", path="secret", staged="link/secret", size=6, mtime_ns=1)
"""

LINKED_LOGDIRS = """
import time
os.makedirs("runs/first")
with open("runs/first/events.out.tfevents", "w") as file:
    file.write("own")
os.symlink(outside, "runs/link")
os.symlink(outside, "linked")
with open(journal + "/logdirs", "w") as file:
    for path in ("runs", "linked", "runs/link"):
        file.write(json.dumps({"path": os.path.abspath(path)}) + "\\n")
"""

PIPES = """
os.mkfifo(journal + "/logdirs")
os.mkfifo(journal + "/pipe.jsonl")
os.mkfifo(artifacts + "/pipe")
record("artifact", key="pipe", staged="pipe", filename="pipe")
"""

ENDLESS_FOLDERS = """
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
"""

OTHER_SOCKET = """
os.rename(journal + "/api.sock", journal + "/other")
os.symlink(outside, journal + "/api.sock")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not in the container, and is the same in the end."""
    folder = tmp_path / "outside"
    folder.mkdir(mode=0o700)
    (folder / "secret").write_text(SECRET)
    yield folder
    assert (folder / "secret").read_text() == SECRET
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def run(
    server: LiveServer, tmp_path: Path, image: Callable[[str], str], outside: Path
) -> Callable[[str], dict[str, Any]]:
    def run(script: str) -> dict[str, Any]:
        folder = make_folder(tmp_path / "job", main=WRITE + script)
        worker = {"image": image("python")}
        return server.completed(server.send(folder, "main.py", str(outside), worker=worker))

    return run


def test_links_among_artifacts_lead_nowhere(
    server: LiveServer, run: Callable[[str], dict[str, Any]]
) -> None:
    job = run(LINKED_ARTIFACTS)
    assert job["artifacts"] == []
    log = server.job_log(job["job_id"]).decode()
    assert "artifact 'file' cannot be kept: link/secret leads through link" in log
    assert "artifact 'folder' cannot be kept: link cannot be read" in log
    assert "'results/secret' cannot be kept" in log
    assert SECRET.encode() not in everything_kept(server)


def test_links_among_tensorboards_folders_lead_nowhere(
    server: LiveServer, run: Callable[[str], dict[str, Any]]
) -> None:
    job = run(LINKED_LOGDIRS)
    assert "'/job/job_source/linked' cannot be seen" in server.job_log(job["job_id"]).decode()
    assert b"own" in everything_kept(server)
    assert SECRET.encode() not in everything_kept(server)


def test_pipes_hold_nothing_up(server: LiveServer, run: Callable[[str], dict[str, Any]]) -> None:
    assert run(PIPES)["artifacts"] == []


def test_folders_without_end_are_cleared_away(
    server: LiveServer, run: Callable[[str], dict[str, Any]]
) -> None:
    job = run(ENDLESS_FOLDERS)
    server.wait_for(lambda: not (server.home / "work" / job["job_id"]).exists(), "tidy end")


def test_the_way_to_the_server_is_cleared_away_and_nothing_else(
    run: Callable[[str], dict[str, Any]],
) -> None:
    run(OTHER_SOCKET)


def everything_kept(server: LiveServer) -> bytes:
    folders = (server.home / "blobs", server.home / "job_data")
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\0".join(path.read_bytes() for path in files)
