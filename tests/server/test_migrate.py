"""Everything of one database, in another."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import said_again
from tests.live import LiveServer, make_folder

from atlas_server.archive.logs import LogArchive
from atlas_server.config import ServerConfig
from atlas_server.migration import migrate
from atlas_server.services.views import Views
from atlas_server.store import jobs, projects, tracking
from atlas_server.store.engine import Store, same_schema
from atlas_server.store.tables import metadata
from foundations.errors import FoundationsError, Refused

pytestmark = pytest.mark.postgres
DATABASES = sorted((Path(__file__).parents[1] / "data").glob("schema-*.db"))


def silent(*_: object) -> None:
    """No progress."""


def everything(where: Path | str) -> dict[str, list[Any]]:
    """Every row of every table, in the order of their keys."""
    store = Store(where)
    with store.read() as connection:
        found = {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
            if table.name != "scheduler_lease"
        }
    store.close()
    return found


@pytest.mark.parametrize("database", DATABASES, ids=lambda path: path.stem)
def test_kept_database_there_and_back(database, cluster, tmp_path):
    config = ServerConfig(home=tmp_path)
    config.database.parent.mkdir()
    shutil.copyfile(database, config.database)
    url = cluster.url(cluster.create())
    moved = migrate(config, None, url, silent)
    before = everything(config.database)
    assert moved.rows == sum(map(len, before.values())) > 50
    assert repr(everything(url)) == repr(before)

    store = Store(url)
    views = Views(store, LogArchive(tmp_path))
    with store.read() as connection:
        assert same_schema(connection) == []
    for job in json.loads(database.with_suffix(".json").read_text()):
        found = json.loads(json.dumps(views.details(views.resolve(job["job_id"]))))
        assert said_again(job, found)
    store.close()

    back = tmp_path / "back.db"
    migrate(config, url, f"sqlite:///{back}", silent)
    assert repr(everything(back)) == repr(before)
    assert back.stat().st_mode & 0o077 == 0


def strange(where: Path | str, name: str = "first") -> int:
    """Rows that databases may differ over; the key of a job that was deleted."""
    with closing(Store(where)) as store, store.write() as connection:
        project = projects.ensure(connection, "p", 1.0)
        row = {"project_id": project, "user": "ü\0", "state": "queued", "priority": 0}
        row |= {"cpus": 0.1, "gpus": 0.0, "retries": 0, "attempts": 0, "submitted_at": 1 / 3}
        row |= {"queued_at": 1e-300, "bundle": "b", "spec": {"a": [float("nan"), 1e400, "\0"]}}
        keys = [jobs.insert_job(connection, {**row, "job_id": f"{name}-{n}"}) for n in range(3)]
        tracking.set_params(
            connection,
            keys[0],
            {"one": 1.0, "big": 10**30, "nan": float("nan"), "t": "\0", "n": None},
        )
        tracking.set_tags(connection, keys[0], {"Z": "", "a": "x" * 10_000, "É": "\t\\N"})
        points = [tracking.Point("loss", n, None, n / 7) for n in range(6000)]
        tracking.add_points(connection, keys[1], points)
        jobs.remove(connection, keys[2:])
    return keys[2]


def test_what_databases_differ_over(cluster, tmp_path):
    config = ServerConfig(home=tmp_path)
    gone = strange(config.database)
    url = cluster.url(cluster.create())
    told: list[tuple[str, int, int]] = []
    migrate(config, "sqlite", url, lambda *step: told.append(step))
    assert told[-1][1] == told[-1][2]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)

    def shown(where: Path | str) -> str:
        return repr(everything(where)).replace("\\x00", "␀")

    assert shown(url) == shown(config.database)
    # Numbers of deleted rows are not given again, there and here.
    assert strange(url, "second") == gone + 3
    config.database.unlink()
    migrate(config, url, "sqlite", silent)
    assert strange(url, "third") == strange(config.database, "third") == gone + 6
    assert len(everything(config.database)["metrics"]) == len(everything(url)["metrics"]) == 18_000


def test_target_that_is_not_empty(cluster, tmp_path):
    config = ServerConfig(home=tmp_path)
    strange(config.database)
    url = cluster.url(cluster.create())
    migrate(config, None, url, silent)
    with pytest.raises(Refused, match=r"not empty: its table '.*' has 1 rows"):
        migrate(config, None, url, silent)
    with pytest.raises(Refused, match="not empty"):
        migrate(config, url, "sqlite", silent)
    with pytest.raises(Refused, match="same database"):
        migrate(config, "sqlite", f"sqlite:///{config.database}", silent)
    with pytest.raises(FoundationsError, match="named as"):
        migrate(config, None, "mysql://x", silent)
    with pytest.raises(Refused, match="no database"):
        migrate(ServerConfig(home=tmp_path / "nobody"), None, url, silent)


def test_what_was_given_up_can_be_begun_again(cluster, tmp_path):
    config = ServerConfig(home=tmp_path)
    strange(config.database)
    url = cluster.url(cluster.create())

    def give_up(table: str, done: int, total: int) -> None:
        if done > total // 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(config, None, url, give_up)
    assert not any(everything(url).values())
    migrate(config, None, url, silent)
    for again in (give_up, silent):
        if again is give_up:
            with pytest.raises(KeyboardInterrupt):
                migrate(config, url, f"sqlite:///{tmp_path}/new.db", give_up)
            assert not (tmp_path / "new.db").exists()
        else:
            migrate(config, url, f"sqlite:///{tmp_path}/new.db", silent)
    assert repr(everything(tmp_path / "new.db")) == repr(everything(url))


def test_a_server_moves(cluster, tmp_path):
    """As its owner does it."""
    server = LiveServer(tmp_path)
    folder = make_folder(
        tmp_path / "code", main="import foundations\nfoundations.log_metric('a', 1)\n"
    )
    url = cluster.url(cluster.create())
    with server:
        job = server.send(folder, "main.py")
        server.completed(job)
        done = server.server_command("migrate", "--to", url)
        assert (done.code, done.out) == (1, "")
        assert "atlas-server stop" in done.err
        server.stop()
        done = server.server_command("migrate", "--to", url.replace("@/", ":hunter2@/"))
        assert done.code == 1
        assert ".pgpass" in done.err
        done = server.server_command("migrate", "--to", url)
        assert done.code == 0, done
        assert "compared" in done.out
        server.restart(database_url=url)
        assert server.job(job)["metrics"]["a"]["value"] == 1
        other = LiveServer(tmp_path / "other", settings={"database_url": url})
        other.home.mkdir(parents=True)
        done = other.server_command("migrate", "--to", "sqlite")
        assert done.code == 1
        assert "A server works on" in done.err
        again = server.send(folder, "main.py")
        server.completed(again)
        server.stop()
