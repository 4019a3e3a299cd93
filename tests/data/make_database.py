"""Makes a database as this version writes it, to be kept here for ever.

    python -m tests.data.make_database

writes schema-NNNN.db, what jobs of every kind leave behind, and schema-NNNN.json, what the API said
of them. Run it once for each schema, when it is final; later versions must open all of them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tests.live import LiveServer, make_folder

from atlas_server.store.engine import SCHEMA_VERSION

FOLDER = Path(__file__).parent
# What every version has to tell of a job in the same words.
KEPT = (
    "job_id", "project", "name", "user", "state", "reason", "message", "exit_code", "priority",
    "resources", "command", "entrypoint", "attempts", "retries", "timeout", "submitted_at",
    "started_at", "finished_at", "bundle", "usage", "tags", "params", "metrics", "artifacts",
    "outputs",
)  # fmt: skip

TRACKS = """
import foundations
params = foundations.load_parameters()
for step in range(3):
    foundations.log_metric("loss", 1 / (step + params["start"]), step=step)
foundations.log_metric("accuracy", 0.5)
foundations.log_metric("accuracy", float("nan"))
foundations.log_metric("phase", "warm-up")
foundations.log_param("layers", [128, 64])
foundations.set_tag("kind", "complete")
with open("model.bin", "wb") as file:
    file.write(bytes(range(256)))
foundations.save_artifact("model.bin", "model")
foundations.save_artifact("model.bin", "model")
print("done")
"""
FAILS = """
import sys
print("before the end")
sys.exit(3)
"""
RECOVERS = """
import os, sys
from pathlib import Path
marker = Path(os.environ["MARKER"])
if not marker.exists():
    marker.touch()
    sys.exit("at first it fails")
"""
BY_HAND = """
import foundations
with foundations.start_job(project="vision", name="by hand", job_id="by-hand"):
    foundations.log_metric("loss", 0.5, step=1)
    raise ValueError("no such rate")
"""
WAITS = """
import threading
print("begun", flush=True)
threading.Event().wait()
"""


def run_jobs(server: LiveServer) -> list[str]:
    """Run one job of each kind and return their IDs."""
    folder = make_folder(
        server.root / "code", tracks=TRACKS, fails=FAILS, recovers=RECOVERS, waits=WAITS
    )
    origin = {"host": "workstation", "directory": "/home/ada/code", "python": "3.11.0"}
    known = {"user": "ada", "origin": origin}
    done = server.send(
        folder, "tracks.py", project="vision", name="first", params={"start": 1, "note": "é"},
        tags={"sweep": "a", "quick": ""}, priority=5, timeout=600, **known,
    )  # fmt: skip
    server.completed(done)
    failed = server.send(folder, "fails.py", project="vision", **known)
    server.ended(failed)
    marker = {"MARKER": str(server.root / "marker"), "WIKI_TOKEN": "not to be shown"}
    retried = server.send(
        folder, "recovers.py", project="speech", retries=2, environment=marker, **known
    )
    server.completed(retried)
    again = str(server.api().rerun(done, {"params": {"start": 2}})["job_id"])
    server.completed(again)
    stopped = server.send(folder, "waits.py", user="bob", resources={"cpus": 2})
    server.has_logged(stopped, b"begun")
    waited = server.send(folder, "waits.py", user="bob", entrypoint=["python3", "-u"])
    for job in (waited, stopped):
        server.api().stop(job)
        server.ended(job)
    say(server, done)
    return [done, failed, retried, again, stopped, waited, run_by_hand(server, folder)]


def say(server: LiveServer, job: str) -> None:
    """Leave what people write about jobs and projects."""
    server.api().edit(job, {"notes": "The one to beat.", "tags": {"kept": "yes"}})
    server.api().change_project("vision", {"description": "Pictures", "metric": "loss"})
    server.api().change_project("speech", {"archived": True})
    note = json.dumps({"body": "Try a **smaller** rate.", "author": "ada"}).encode()
    address = f"{server.url}/api/v1/projects/vision/notes"
    request = urllib.request.Request(address, note, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def run_by_hand(server: LiveServer, folder: Path) -> str:
    """Run a program that fails without the scheduler and return its job's ID."""
    (folder / "by_hand.py").write_text(BY_HAND)
    subprocess.run(
        [sys.executable, "by_hand.py"], cwd=folder, env=server.env, capture_output=True, check=False
    )
    server.ended("by-hand")
    return "by-hand"


def make(folder: Path) -> Path:
    """Write database and description into `folder`; return the database's path."""
    target = folder / f"schema-{SCHEMA_VERSION}.db"
    scratch = tempfile.TemporaryDirectory(prefix="atlas-")
    with scratch, LiveServer(Path(scratch.name)) as server:
        described = [kept(server.job(job)) for job in run_jobs(server)]
        server.stop()
        database = server.home / "database" / "atlas.db"
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        shutil.copyfile(database, target)
    neutral(target)
    text = json.dumps(described, indent=1, sort_keys=True)
    target.with_suffix(".json").write_text(text + "\n")
    return target


def neutral(database: Path) -> None:
    """Leave the machine that made it out of a database that stays for ever."""
    environment = {
        "python": "3.11.0",
        "implementation": "CPython",
        "executable": "/usr/bin/python3",
        "packages": {"numpy": "2.0.0", "scikit-learn": "1.5.0"},
        "host": "workstation",
        "system": "Linux 6.1 x86_64",
        "devices": [],
    }
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE jobs SET environment = ? WHERE environment IS NOT NULL",
            [json.dumps(environment)],
        )
        connection.execute(
            "UPDATE jobs SET spec = replace(spec, ?, ?)", [sys.executable, "/usr/bin/python3"]
        )
        host = "'$.origin.host', 'workstation', '$.origin.environment_keys', json('[]')"
        connection.execute(f"UPDATE jobs SET spec = json_set(spec, {host})")
        allocation = "json_set(allocation, '$.node', 'workstation')"
        connection.execute(f"UPDATE attempts SET allocation = {allocation}, handle = NULL")
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


def kept(job: dict[str, Any]) -> dict[str, Any]:
    """What of a job's description has to stay."""
    return {name: job[name] for name in KEPT}


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print(make(place))
