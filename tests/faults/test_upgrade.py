"""A new version in the place of an old one while jobs run, and versions that meet."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.live import Done, LiveServer, make_folder
from tests.postgres import Cluster
from tests.processes import is_alive
from tests.releases import BEFORE, Installation, taken_away

from atlas_server.store.engine import SCHEMA_VERSION
from foundations._version import __version__
from foundations.errors import VersionMismatch

# Goes on by a step for each file that appears, and uses at last what it has not loaded before.
WORKS = """
import os, sys, time
import foundations
for step in range(3):
    while not os.path.exists(sys.argv[1] + str(step)): time.sleep(0.01)
    foundations.log_metric("loss", 1 / (step + 1), step=step)
    print("step", step, flush=True)
with open("model.bin", "wb") as file: file.write(b"model")
foundations.save_artifact("model.bin", "model")
foundations.set_tag("kind", "long")
foundations.log_params({"layers": {"first": 128}})
print("last line")
"""
QUICK = """
import foundations
foundations.log_metric("loss", 0.5)
print("quick", foundations.__version__)
"""
IN_BACKGROUND = ("submit", "--quiet", "--stream-job-logs", "False", "scheduler")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", works=WORKS, quick=QUICK)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "installation")


@pytest.fixture
def server(tmp_path: Path, installation: Installation) -> Iterator[LiveServer]:
    """A home, and the commands of an installation of its own."""
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}  # starting is most of the time here
    server = LiveServer(tmp_path, cpus=1, environment=compiled, python=installation.python)
    yield server
    server.close()


def submit(server: LiveServer, folder: Path, *command: str) -> str:
    done = server.cli(*IN_BACKGROUND, str(folder), *command)
    assert done.code == 0, done
    return done.out.strip()


def lines(server: LiveServer, job: str) -> list[str]:
    return server.job_log(job).decode().splitlines()


def assert_whole(server: LiveServer, job: str, told: str) -> None:
    """Nothing of the job that works is lost or there twice; `told` is what was seen of its log."""
    done = server.completed(job)
    assert done["attempts"] == 1
    assert done["metrics"]["loss"]["count"] == 3
    assert done["metrics"]["loss"]["max"] == 1.0
    assert (done["tags"], done["params"]) == ({"kind": "long"}, {"layers_first": 128})
    assert [artifact["size"] for artifact in done["artifacts"]] == [5]
    for seen in (lines(server, job), told.splitlines()):
        assert [line for line in seen if line.startswith(("step", "last"))] == [
            "step 0", "step 1", "step 2", "last line",
        ]  # fmt: skip


def assert_clear(done: Done, *words: str) -> None:
    assert done.code == 1, done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.err


def test_jobs_outlive_an_upgrade_and_a_way_back(
    server: LiveServer, installation: Installation, folder: Path, tmp_path: Path
) -> None:
    installation.install_the_one_before()
    server.start()
    go = tmp_path / "go-"
    follower = server.spawn("submit", "scheduler", str(folder), "works.py", str(go))
    job = server.wait_for(lambda: server.api().jobs()["jobs"], "job")[0]["job_id"]
    waits = submit(server, folder, "quick.py")
    (tmp_path / "go-0").touch()
    server.has_logged(job, b"step 0")
    newer_client_meets_older_server(server, folder, waits)
    offered = openapi(server)
    server.stop()

    installation.upgrade()
    (tmp_path / "go-1").touch()  # the job goes on meanwhile
    server.start()
    assert server.facts["version"] == __version__ != BEFORE
    # What clients and runners of the older version ask for is there, and asks no more of them.
    assert taken_away(offered, openapi(server)) == []
    server.has_logged(job, b"step 1")
    assert server.job(job)["state"] == "running"
    (tmp_path / "go-2").touch()
    done = follower.finish()
    assert done.code == 0, done
    assert_whole(server, job, done.out)
    server.completed(waits)
    assert f"quick {__version__}" in lines(server, waits)
    server.stop()

    # Back: the older version refuses the newer database, and takes the copy that was kept.
    installation.install_the_one_before()
    assert_clear(server.server_command("start"), "newer Atlas")
    databases = server.home / "database"
    with closing(sqlite3.connect(databases / "atlas.db")) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (3,)
    shutil.move(databases / f"before-{SCHEMA_VERSION}.db", databases / "atlas.db")
    server.start()
    assert server.job(waits)["job_id"] == waits


def openapi(server: LiveServer) -> dict[str, Any]:
    with urllib.request.urlopen(server.url + "/api/v1/openapi.json", timeout=60) as answer:
        return json.load(answer)


def newer_client_meets_older_server(server: LiveServer, folder: Path, waits: str) -> None:
    """All that both know works; of anything else the client says what is wrong."""
    older, server.python = server.python, sys.executable
    assert json.loads(server.cli("show", waits, "--json").out)["state"] == "queued"
    done = server.cli("config", "check", "scheduler")
    assert f"Atlas {BEFORE}, API 1, here {__version__}" in done.out, done
    another = submit(server, folder, "quick.py")
    assert server.cli("stop", another).code == 0
    with pytest.raises(VersionMismatch) as caught:
        server.api().connection.request("GET", "/api/v1/invented/later")
    assert "is an older Atlas and does not have GET /api/v1/invented/later" in str(caught.value)
    server.python = older


@pytest.mark.postgres
def test_processes_of_different_versions_on_one_database(
    cluster: Cluster, server: LiveServer, installation: Installation, tmp_path: Path
) -> None:
    name = cluster.create()
    url = cluster.url(name)
    server.env["ATLAS_DATABASE_URL"] = url
    installation.install_the_one_before()
    server.start()
    newer = LiveServer(tmp_path / "newer", settings={"database_url": url})
    newer.root.mkdir()
    try:
        refused = newer.server_command("start")
        assert_clear(refused, "servers of an older version work on it", "Stop all of them")
        assert server.api().health()["version"] == BEFORE
        server.stop()
        newer.start()
        assert_clear(server.server_command("start"), "newer Atlas")
        assert newer.api().health()["version"] == __version__
        # As a still newer one would, beside a process that lost its lock with its connection.
        pid = newer.pid
        cluster.sql("UPDATE alembic_version SET version_num = '9999'", name)
        newer.wait_for(lambda: not is_alive(pid), "end of what is older")
        assert "A newer Atlas has upgraded the database (schema 9999)" in newer.log()
        assert "Traceback" not in newer.log()
    finally:
        newer.close()


def test_a_job_does_not_miss_its_installation(
    server: LiveServer, installation: Installation, folder: Path, tmp_path: Path
) -> None:
    """Neither job nor runner loads anything from where a new version may be by then."""
    installation.upgrade()
    server.start()
    job = server.send(folder, "works.py", str(tmp_path / "go-"), worker={"shm_size": "1g"})
    (tmp_path / "go-0").touch()
    server.has_logged(job, b"step 0")
    server.stop()
    installation.remove()
    for step in (1, 2):
        (tmp_path / f"go-{step}").touch()
    server.wait_for(lambda: not server.workers(job), "end of the worker")
    installation.upgrade()
    server.start()
    assert_whole(server, job, server.job_log(server.completed(job)["job_id"]).decode())
    assert "Traceback" not in server.log()
