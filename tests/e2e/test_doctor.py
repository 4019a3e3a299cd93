"""`atlas-server doctor`: what it says of a home that is well, and of one where things are wrong."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.postgres import Cluster

from atlas_server.config import ServerConfig
from atlas_server.doctor import database, home, machine, network
from atlas_server.doctor.findings import Finding, examined
from atlas_server.executor_settings import RaySettings, SlurmSettings

WORKS = """
import foundations
open("model.bin", "w").write("model")
foundations.save_artifact("model.bin", "model")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path) as server:
        yield server


def doctor(server: LiveServer, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = server.server_command("doctor", "--json", *options)
    assert done.err == ""
    told = json.loads(done.out)
    assert told["well"] == (done.code == 0)
    return done.code, {each["check"]: each for each in told["checks"]}


def seen(checks: Iterator[tuple[str, object]]) -> dict[str, Finding]:
    return dict(examined(checks))  # type: ignore[arg-type]


def test_a_home_from_running_to_broken(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main=WORKS)
    job = server.completed(server.send(folder, "main.py"))
    assert server.server_command("backup", str(tmp_path / "saved")).code == 0
    code, found = doctor(server)
    assert code == 0, found
    assert {each["part"] for each in found.values()} == {
        "Machine", "Home", "Database", "Network", "Executors",
    }  # fmt: skip
    assert not [each for each in found.values() if each["verdict"] == "failure"]
    assert "it answers" in found["Address"]["text"]
    assert "sound" in found["Database"]["text"]
    # What would go to another database than the server's is not done.
    server.env["ATLAS_DATABASE_URL"] = "postgresql:///other"
    done = server.server_command("user", "list")
    assert (done.code, done.out) == (1, "")
    assert "The server that runs works on" in done.err
    del server.env["ATLAS_DATABASE_URL"]
    assert str(tmp_path / "saved") in found["Backups"]["text"]

    # Another content than it was stored as: seen by who reads it, and before that not.
    artifact = server.home / "blobs" / job["artifacts"][0]["digest"][:2]
    (blob,) = (path for path in artifact.rglob("*") if path.name in job["artifacts"][0]["digest"])
    blob.chmod(0o600)
    blob.write_text("other")
    server.kill()
    assert doctor(server)[0] == 0
    code, found = doctor(server, "--deep")
    assert (code, found["Content"]["verdict"]) == (1, "failure")
    assert "damaged" in found["Content"]["text"]
    assert "free" in found["Address"]["text"]
    assert "was killed" in found["Left behind"]["text"]
    blob.unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "engine.sock"))
    server.env["DOCKER_HOST"] = f"unix://{tmp_path}/engine.sock"
    done = server.server_command("doctor")
    assert done.code == 1
    assert "engine.sock does not answer: connection refused" in " ".join(done.out.split()).lower()
    assert f"pieces are missing: {job['artifacts'][0]['digest']}" in " ".join(done.out.split())
    assert "2 failures, " in done.out
    assert "\033" not in done.out

    path = server.home / "database" / "atlas.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    config = ServerConfig(home=server.home)
    checks = seen(database.DatabaseChecks(config, False).checks())
    assert "newer Atlas" in checks["Database"].text
    path.write_bytes(path.read_bytes()[:4096] + b"nothing" * 10_000)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    checks = seen(database.DatabaseChecks(config, False).checks())
    assert (checks["Database"].verdict, checks["Content"].verdict) == ("failure", "none")
    assert "restore" in checks["Database"].hint


def test_an_old_database_is_not_touched(tmp_path: Path) -> None:
    kept = Path(__file__).parents[1] / "data" / "schema-0003.db"
    config = ServerConfig(home=tmp_path)
    config.database.parent.mkdir()
    shutil.copy(kept, config.database)
    checks = seen(database.DatabaseChecks(config, True).checks())
    assert "schema 0003" in checks["Database"].text
    assert "the next start brings it to" in checks["Database"].text
    assert {each.verdict for each in checks.values()} <= {"ok", "none"}
    assert config.database.read_bytes() == kept.read_bytes()


def test_a_home_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(home.checks(ServerConfig(home=tmp_path / "a" / "b")))["Folder"].verdict == "none"
    (tmp_path / "file").touch()
    checks = seen(home.checks(ServerConfig(home=tmp_path / "file")))
    assert checks["Folder"].verdict == "failure"
    config = ServerConfig(home=tmp_path)
    tmp_path.chmod(0o755)
    config.database.parent.mkdir()
    config.database.touch()
    left = tmp_path / "database" / "before-9999.db.partial"
    left.touch()
    os.utime(left, (1, 1))
    checks = seen(home.checks(config))
    assert "chmod 700" in checks["Folder"].hint
    assert "never saved" in checks["Backups"].text
    assert left.name in checks["Left behind"].text
    config.last_backup.write_text(json.dumps({"time": time.time() - 9 * 86400, "folder": "/mnt"}))
    assert seen(home.checks(config))["Backups"] == Finding(
        "warning", "9 days ago, to /mnt", "atlas-server backup FOLDER, every night, on another disk"
    )
    # Of what uv keeps counts what no environment has, too.
    other = ServerConfig(home=tmp_path / "other")
    packages = other.home / "cache" / "uv" / "archive"
    packages.mkdir(parents=True)
    (packages / "own").write_bytes(b"x" * 10_000)
    (packages / "shared").write_bytes(b"x" * 10_000)
    (tmp_path / "environment").hardlink_to(packages / "shared")
    assert "12 KB that uv keeps" in seen(home.checks(other))["Packages"].text
    mounts = "20 1 0:1 / / rw - ext4 /dev/a rw\n21 20 0:2 / /srv rw shared:1 - nfs4 nas:/srv rw\n"
    assert home.file_system(Path("/srv/atlas"), mounts) == "nfs4"
    assert home.file_system(Path("/home/atlas"), mounts) == "ext4"


def test_ports_and_people(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        config = ServerConfig(home=tmp_path, port=port, gui_port=0)
        found = seen(network.checks(config, None))
    assert found["Address"].verdict == "failure"
    assert f"process {os.getpid()}" in found["Address"].text
    elsewhere = replace(config, host="0.0.0.0", authentication=True)
    assert "in the clear" in seen(network.checks(elsewhere, None))["Who gets in"].text
    # As it was started, not as the settings say.
    started = {"host": "0.0.0.0", "authentication": True}
    state = {"url": f"http://127.0.0.1:{port}", "gui_url": "http://127.0.0.1:1", **started}
    found = seen(network.checks(config, state))
    assert "does not answer" in found["Address"].text
    assert "in the clear" in found["Who gets in"].text


@pytest.mark.parametrize(
    ("days", "verdict", "told"),
    [("90", "ok", "is good until"), ("3", "warning", "2 days"), ("-1", "failure", "has expired")],
)
def test_certificates(tmp_path: Path, days: str, verdict: str, told: str) -> None:
    certificate, key, request = (tmp_path / name for name in ("cert.pem", "key.pem", "request"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for words in (
        ("req", *curve, "-subj", "/CN=atlas.example.org", "-keyout", key, "-out", request),
        ("x509", "-req", "-in", request, "-signkey", key, "-days", days, "-out", certificate),
    ):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    config = ServerConfig(home=tmp_path, tls_certificate=certificate, tls_key=key)
    found = seen(network.checks(config, {"url": "unix:x", "gui_url": ""}))["TLS"]
    assert (found.verdict, told in found.text) == (verdict, True), found


def test_what_jobs_need_and_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from atlas_server.doctor import places

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setenv("PIP_INDEX_URL", "http://ada:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("NO_PROXY", "*")
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setenv("PATH", str(tmp_path))
    config = ServerConfig(home=tmp_path, executors=(SlurmSettings(), RaySettings(address=nowhere)))
    found = seen(machine.checks(config))
    assert found["Containers"].verdict == "none"
    assert found["Package index"].text.startswith("http://127.0.0.1:9/simple does not answer")
    clusters = seen(places.checks(config))
    assert clusters["slurm"].text == "there is no sbatch on this machine"
    assert (clusters["ray"].verdict, nowhere in clusters["ray"].text) == ("failure", True)
    wanted = replace(config, default_image="python:3.11")
    assert "Jobs run in python:3.11" in seen(machine.checks(wanted))["Containers"].hint


@pytest.mark.postgres
def test_postgresql(cluster: Cluster, tmp_path: Path) -> None:
    config = ServerConfig(home=tmp_path, database_url=cluster.url(cluster.create()))
    checks = seen(database.DatabaseChecks(config, False).checks())
    assert "schema none yet" in checks["Database"].text
    assert checks["Clock"].verdict == "ok"
    away = replace(config, database_url=f"postgresql://ada:hunter2@/none?host={tmp_path}")
    found = seen(database.DatabaseChecks(away, False).checks())["Database"]
    assert found.verdict == "failure"
    assert "does not answer" in found.text
    assert "hunter2" not in found.text
