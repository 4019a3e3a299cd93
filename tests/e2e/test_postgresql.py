"""A server whose database is PostgreSQL, as people use it."""

from __future__ import annotations

import json
import os

import pytest
from tests.live import LiveServer, make_folder

pytestmark = pytest.mark.postgres

TRAINS = """
import os, foundations
params = foundations.load_parameters()
for step in range(100):
    foundations.log_metric("loss", 1 / (step + params["start"]), step=step)
foundations.log_metric("odd", float("nan"))
foundations.set_tag("kind", "real")
with open("model.bin", "wb") as file:
    file.write(bytes(range(256)))
foundations.save_artifact("model.bin", "model")
print("seen:", sorted(name for name in os.environ if name.startswith(("ATLAS_DATABASE", "PG"))))
"""


@pytest.fixture(scope="module")
def server(cluster, tmp_path_factory):
    url = cluster.url(cluster.create()).replace("@/", ":hunter2-hunter2@/")
    with LiveServer(tmp_path_factory.mktemp("pg"), settings={"database_url": url}) as server:
        yield server


def test_a_job_from_front_to_back(server):
    folder = make_folder(server.root / "code", main=TRAINS)
    (folder / "job.config.yaml").write_text("project_name: pg\nparams: {start: 2, note: é}\n")
    done = server.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 0, done
    # Jobs have no business with the database.
    assert "seen: []" in done.out
    shown = json.loads(server.cli("show", "last", "--json").out)
    assert shown["state"] == "completed"
    assert shown["metrics"]["loss"]["count"] == 100
    assert shown["metrics"]["odd"]["value"] == "NaN"
    assert shown["tags"]["kind"] == "real"
    found = server.cli("list", "--project", "pg", "--query", 'params.note ~ "^É?é$"', "--json")
    assert [job["job_id"] for job in json.loads(found.out)] == [shown["job_id"]], found
    assert server.cli("rerun", "last").code == 0
    newest = json.loads(server.cli("show", "last", "--json").out)["job_id"]
    server.completed(newest)
    assert server.cli("get", "job", "scheduler", newest, "--save_dir", "got").code == 0
    assert server.cli("delete", "job", "scheduler", newest, "--yes").code == 0


def test_the_password_is_nowhere(server, cluster):
    told = server.log() + (server.home / "run" / "server.json").read_text()
    told += server.cli("info").out + server.server_command("status", "--json").out
    for process in server.processes():
        told += " ".join(process.cmdline())
        if process.pid != server.pid:
            told += str(process.environ())
    assert "hunter2" not in told
    bare = LiveServer(server.root / "other")
    bare.root.mkdir()
    for url, words in [
        ("postgresql://ada:hunter2-hunter2@/none?host=" + str(cluster.folder), "does not exist"),
        ("mysql://ada:hunter2-hunter2@db/atlas", "postgresql://"),
        ("postgresql://ada:hunter2-hunter2@[db/atlas", "postgresql://"),
    ]:
        bare.env["ATLAS_DATABASE_URL"] = url
        done = bare.server_command("start")
        assert done.code == 1
        assert words in done.err
        assert "hunter2" not in done.err + bare.log()
        assert "Traceback" not in done.err + bare.log()
    done = bare.server_command("start", "--database-url", "postgresql://ada:hunter2-hunter2@db/x")
    assert done.code == 1
    assert ".pgpass" in done.err


def test_services_of_libpq_name_the_database(cluster, tmp_path):
    (tmp_path / "services").write_text(
        f"[lab]\nhost={cluster.folder}\nuser={cluster.user}\ndbname={cluster.create()}\n"
    )
    server = LiveServer(
        tmp_path,
        settings={"database_url": "postgresql://?service=lab"},
        environment={"PGSERVICEFILE": str(tmp_path / "services")},
    )
    assert server.server_command("user", "list").out.startswith("There are no users.")
    assert not os.path.exists(server.home / "database" / "atlas.db")
