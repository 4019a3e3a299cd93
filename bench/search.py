"""A search of many jobs: queued one by one and in one request, and their results as one table.

    python bench/search.py [--jobs N] [--each N] [--rounds N]

The jobs of the table are put into the server's database while it is stopped: all are over, with
20 parameters, 10 metrics and 2 tags. pandas and polars are used where they are installed.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import statistics
import subprocess
import time
import uuid
from pathlib import Path

from side_by_side import (
    BARE,
    PYTHON,
    Server,
    Table,
    arguments,
    environment,
    make_project,
    temporary_folder,
    timed,
)

# One job at a time runs, so that the many that wait stay there while they are counted.
_GATE = "import time\ntime.sleep(3600)\n"
_SUBMIT = """
import foundations, sys, time
count, params = int(sys.argv[1]), [{"lr": n, "layers": [n, n]} for n in range(int(sys.argv[1]))]
begin = time.perf_counter()
if sys.argv[2] == "many":
    foundations.submit_many(params, command=["main.py"])
else:
    for each in params:
        foundations.submit(command=["main.py"], params=each)
print(time.perf_counter() - begin)
"""
_TABLE = """
import foundations, re, sys, time
foundations.get_metrics_for_all_jobs
if sys.argv[1] != "records":
    __import__(sys.argv[1])
def peak():
    return int(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1]) / 1024
before = peak()
begin = time.perf_counter()
found = foundations.get_metrics_for_all_jobs("filled", as_=sys.argv[1])
seconds = time.perf_counter() - begin
assert len(found) == int(sys.argv[2])
print(seconds, peak() - before)
"""


def main() -> None:
    options = arguments(__doc__, rounds=3, jobs=100_000, each=1000)
    unit = [timed(BARE, environment()) for _ in range(5)]
    table = Table(statistics.median(unit))
    table.times("python -c pass (the unit)", unit)
    with temporary_folder() as folder, contextlib.ExitStack() as ending:
        server = Server(folder / "home", "--num-cpus", "1")
        ending.callback(server.end_everything)
        server.start()
        project = make_project(folder / "project", _GATE)
        one, many = [], []
        for _ in range(options.rounds):
            one.append(submitted(server, project, options.each, "one by one"))
            many.append(submitted(server, project, options.each, "many"))
        table.times(f"{options.each} jobs, one by one", one)
        table.times(f"{options.each} jobs, submit_many", many, "a tenth")
        server.end_everything()
        fill(server.home / "database" / "atlas.db", options.jobs)
        server.start()
        for form in ("records", "pandas", "polars"):
            show(table, server, form, options.jobs, options.rounds)


def submitted(server: Server, project: Path, count: int, how: str) -> float:
    command = [PYTHON, "-c", _SUBMIT, str(count), how]
    return float(subprocess.run(command, env=server.env, cwd=project, capture_output=True,
                                text=True, check=True).stdout)  # fmt: skip


def show(table: Table, server: Server, form: str, count: int, rounds: int) -> None:
    seconds, memory = [], []
    for _ in range(rounds):
        command = [PYTHON, "-c", _TABLE, form, str(count)]
        done = subprocess.run(command, env=server.env, capture_output=True, text=True, check=False)
        if "No module named" in done.stderr:
            print(f"{form} is not installed")
            return
        if done.returncode:
            raise SystemExit(done.stderr)
        found = done.stdout.split()
        seconds.append(float(found[0]))
        memory.append(float(found[1]))
    table.times(f"{count} jobs as {form}", seconds, "20 s")
    table.figure(f"{count} jobs as {form}: memory", f"{statistics.median(memory):.0f} MB")


def fill(path: Path, count: int) -> None:
    """Add `count` finished jobs to a project of their own."""
    chance = random.Random(7)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.row_factory = sqlite3.Row
        model = dict(database.execute("SELECT * FROM jobs ORDER BY id DESC LIMIT 1").fetchone())
        first = model.pop("id") + 1
        now = time.time()
        database.execute("INSERT INTO projects (name, created_at) VALUES ('filled', ?)", (now,))
        project = database.execute("SELECT id FROM projects WHERE name = 'filled'").fetchone()[0]
        model.update(project_id=project, state="completed", attempts=1, started_at=now,
                     finished_at=now + 1, exit_code=0)  # fmt: skip
        keys = {}
        for number in range(10):
            name = f"metric {number}"
            database.execute("INSERT INTO metric_keys (name) VALUES (?)", (name,))
            query = "SELECT id FROM metric_keys WHERE name = ?"
            keys[number] = database.execute(query, (name,)).fetchone()[0]
        jobs, params, latest, tags = [], [], [], []
        for number in range(count):
            job = first + number
            row = {"id": job, **model, "job_id": str(uuid.UUID(int=chance.getrandbits(128)))}
            jobs.append(tuple(row.values()))
            params += [(job, f"param {n}", json.dumps(chance.random())) for n in range(20)]
            latest += [(job, keys[n], 100, now, 100.0, chance.random(), None) for n in range(10)]
            tags += [(job, "kind", "trained"), (job, "seed", str(number % 10))]
        names = ", ".join(f'"{name}"' for name in row)
        holders = ", ".join("?" * len(row))
        database.executemany(f"INSERT INTO jobs ({names}) VALUES ({holders})", jobs)
        database.executemany("INSERT INTO params VALUES (?, ?, ?)", params)
        database.executemany("INSERT INTO latest_metrics VALUES (?, ?, ?, ?, ?, ?, ?)", latest)
        database.executemany("INSERT INTO tags VALUES (?, ?, ?)", tags)


if __name__ == "__main__":
    main()
