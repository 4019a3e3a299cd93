"""Tables over 100,000 jobs with 20 parameters and 10 metrics, and a curve of 1,000,000 points.

    python bench/job_tables.py [--jobs N] [--points N] [--rounds N] [--keep FOLDER] [--plans]
    createdb bench && python bench/job_tables.py --database-url postgresql:///bench

The database is made by the server's own store, and asked over HTTP by one client. With `--keep` it
is made once and used again; a PostgreSQL database is filled where it is empty, and stays. `--plans`
prints how the database goes about each table.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from side_by_side import BARE, Server, Table, take_turns, temporary_folder, timed

from foundations.client.api import Api

_BATCH = 500
_STATES = ["completed"] * 80 + ["failed"] * 12 + ["stopped"] * 8
_MODELS = ("resnet18", "resnet50", "vit-b16", "convnext", "mlp")
_QUERY = "metrics.loss < 0.3 and (tag:baseline or params.rate_1 > 0.5) and status:completed"
_PROJECT = {"project": "large"}
_TABLES = {
    "newest first": {},
    "sorted by a metric": {"sort": "-metrics.loss"},
    "sorted by the least of a metric": {"sort": "min(metrics.metric_3)"},
    "sorted by a parameter": {"sort": "params.rate_1"},
    "sorted by a text parameter": {"sort": "params.model"},
    "sorted by duration": {"sort": "-duration"},
    "sorted by a metric, row 50,000": {"sort": "-metrics.loss", "offset": 50_000},
    "status": {"query": "status:failed"},
    "metric": {"query": "metrics.loss < 0.3"},
    "the query of the documentation": {"query": _QUERY},
    "the same, sorted by a metric": {"query": _QUERY, "sort": "-metrics.metric_3"},
    "text": {"query": "run-97"},
    "regular expression": {"query": "params.model ~ ^res.*50$"},
    "a week": {"query": "submitted > -7d"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--database-url", help="a PostgreSQL database, instead of a file")
    parser.add_argument("--plans", action="store_true")
    options = parser.parse_args()
    with temporary_folder() as scratch:
        home = scratch / "home"
        if options.database_url is None:
            database = database_of(home, options.jobs, options.points, options.keep)
            server = Server(home)
        else:
            database = options.database_url
            fill_if_empty(database, options.jobs, options.points)
            server = Server(home, "--database-url", database)
        if options.plans:
            plans(database)
        measure(server, options.rounds)


def fill_if_empty(url: str, jobs: int, points: int) -> None:
    """Make jobs in a PostgreSQL database that has none."""
    from atlas_server.store import projects
    from atlas_server.store.engine import Store

    store = Store(url)
    with store.read() as connection:
        is_empty = not projects.is_there(connection, "large")
    store.close()
    if is_empty:
        fill(url, jobs, points)


def database_of(home: Path, jobs: int, points: int, keep: Path | None) -> Path:
    """Return the database of a home that has these jobs: a copy of the one kept, or a new one."""
    database = home / "database" / "atlas.db"
    database.parent.mkdir(parents=True)
    kept = keep and keep / f"jobs-{jobs}-{points}.db"
    if kept and kept.exists():
        shutil.copyfile(kept, database)
        return database
    fill(database, jobs, points)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(database, kept)
    return database


def fill(path: Path | str, count: int, points: int) -> None:
    """Make jobs as the server would have: the same functions, many in a transaction."""
    from atlas_server.store import jobs, projects
    from atlas_server.store.engine import Store
    from atlas_server.store.tracking import Point, add_points

    source = random.Random(7)
    store = Store(path)
    now = time.time()
    begin = time.perf_counter()
    for first in range(0, count, _BATCH):
        with store.write() as connection:
            project = projects.ensure(connection, "large", now)
            for number in range(first, min(count, first + _BATCH)):
                insert(connection, source, project, number, now - (count - number) * 60)
    seconds = time.perf_counter() - begin
    print(f"{count:,} jobs in {seconds:.0f} s: {seconds / count * 1e3:.2f} ms each", flush=True)
    with store.write() as connection:
        project = projects.ensure(connection, "curve", now)
        key = jobs.insert_job(connection, job_values(project, "long", now))
        begin = time.perf_counter()
        for first in range(0, points, 1000):
            steps = range(first, min(points, first + 1000))
            add_points(connection, key, [Point("loss", now + n, n, source.random()) for n in steps])
        seconds = time.perf_counter() - begin
    print(f"{points:,} points in {seconds:.0f} s: {seconds / points * 1e6:.2f} us each", flush=True)
    store.close()
    if isinstance(path, Path):
        print(f"database: {path.stat().st_size / 1e6:.0f} MB", flush=True)


def job_values(project: int, name: str, submitted: float) -> dict:
    packages = {f"package-{number}": "1.2.3" for number in range(60)}
    spec = {"command": ["main.py"], "entrypoint": None, "params": None, "environment": {}}
    return {
        "job_id": str(uuid.UUID(int=random.getrandbits(128), version=4)), "project_id": project,
        "name": name, "user": "ada", "state": "completed", "priority": 0, "cpus": 1.0,
        "gpus": 0.0, "retries": 0, "attempts": 1, "submitted_at": submitted,
        "queued_at": submitted, "started_at": submitted, "finished_at": submitted + 60,
        "bundle": "0" * 64, "spec": spec, "environment": {"packages": packages},
    }  # fmt: skip


def insert(connection, source: random.Random, project: int, number: int, submitted: float) -> None:
    from atlas_server.store import jobs, texts, tracking

    values = job_values(project, f"run-{number % 977}", submitted)
    params = {f"rate_{n}": source.random() for n in range(10)}
    params |= {f"size_{n}": source.choice((8, 16, 32, 64)) for n in range(5)}
    params |= {f"choice_{n}": source.choice("abcd") for n in range(4)}
    params["model"] = source.choice(_MODELS)
    values["spec"]["params"] = params
    values["state"] = source.choice(_STATES)
    values["user"] = source.choice(("ada", "bob", "cy"))
    values["finished_at"] = submitted + source.expovariate(1 / 600)
    key = jobs.insert_job(connection, values)
    if source.random() < 0.3:
        tracking.set_tags(connection, key, {"baseline": "", "sweep": source.choice("abc")})
    tracking.set_params(connection, key, params)
    texts.add(connection, key, values["spec"])
    points = [tracking.Point("loss", submitted, 1.0, source.random())]
    points += [
        tracking.Point(f"metric_{n}", submitted, 1.0, source.random())
        for n in range(9)
        if n != 3 or source.random() < 0.5
    ]
    tracking.add_points(connection, key, points)


def measure(server: Server, rounds: int) -> None:
    try:
        unit = [timed(BARE, server.env) for _ in range(5)]
        table = Table(statistics.median(unit))
        table.times("python -c pass (the unit)", unit)
        table.times("server ready", [server.start()])
        api = Api(str(server.state["url"]))
        shown = [f"params.rate_{n}" for n in range(6)] + [f"metrics.metric_{n}" for n in range(4)]
        contestants = {
            f"table: {name}": get(api, "/listing", {**_PROJECT, **given, "columns": shown})
            for name, given in _TABLES.items()
        }
        contestants["columns of the project"] = get(api, "/columns", _PROJECT)
        contestants["values of a parameter"] = get(
            api, "/columns/values", {**_PROJECT, "column": "params.model"}
        )
        contestants["10,000 jobs by 8 columns"] = get(
            api, "/values", {**_PROJECT, "columns": shown[:8]}
        )
        contestants["mean and deviation by two parameters"] = get(
            api, "/groups", {**_PROJECT, "by": ["params.model", "params.size_1"],
                             "metrics": ["metrics.loss"]},
        )  # fmt: skip
        contestants.update(curves(api))
        for name, times in take_turns(rounds, contestants).items():
            table.times(name, times, "500 ms" if name.startswith("curve") else "100 ms")
    finally:
        server.end_everything()


def job_ids(api: Api, project: str) -> list[str]:
    """Return the IDs of a project's newest jobs."""
    found = api.connection.call("GET", f"/api/v1/listing?project={project}")
    return [job["job_id"] for job in found["jobs"]]


def curves(api: Api) -> dict[str, Callable[[], float]]:
    [job] = job_ids(api, "curve")
    body = {"curves": [{"job": job, "metric": "loss"}], "points": 2000}
    part = {**body, "axis": "step", "from": 500_000, "to": 520_000}
    fifty = {"curves": body["curves"] * 50, "points": 500}
    return {
        name: post(api, "/curves", asked)
        for name, asked in (
            ("curve of all points, 2,000 shown", body),
            ("curve: a part of it", part),
            ("curves: 50 of them, 500 shown", fifty),
        )
    }


def get(api: Api, path: str, values: dict) -> Callable[[], float]:
    return call(api, "GET", f"/api/v1{path}?{urlencode(values, doseq=True)}", None)


def post(api: Api, path: str, body: dict) -> Callable[[], float]:
    return call(api, "POST", f"/api/v1{path}", body)


def call(api: Api, method: str, path: str, body: dict | None) -> Callable[[], float]:
    def measured() -> float:
        begin = time.perf_counter()
        api.connection.call(method, path, body)
        return time.perf_counter() - begin

    return measured


def plans(path: Path | str) -> None:
    """Print the database's plan of each table."""
    from sqlalchemy import event

    from atlas_server.assembly import SystemClock
    from atlas_server.services.queries import Asked, Queries
    from atlas_server.store import listing
    from atlas_server.store.engine import Store

    store, queries = Store(path), Queries(SystemClock())
    for name, given in _TABLES.items():
        asked = Asked("large", given.get("query", ""), (given["sort"],) if "sort" in given else ())
        with store.read() as connection:
            selection, _ = queries.selection(connection, asked)
            statements: list[tuple[str, object]] = []

            def note(_c, _cursor, statement, parameters, *_):
                statements.append((statement, parameters))

            event.listen(connection, "before_cursor_execute", note)
            listing.window(connection, selection, given.get("offset", 0), 100)
            event.remove(connection, "before_cursor_execute", note)
            print(f"-- {name}")
            for statement, parameters in statements:
                how = "EXPLAIN QUERY PLAN" if isinstance(path, Path) else "EXPLAIN ANALYZE"
                for row in connection.exec_driver_sql(f"{how} {statement}", parameters):
                    print(f"   {row[-1]}")
    store.close()


if __name__ == "__main__":
    sys.exit(main())
