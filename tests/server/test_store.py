"""The database: its schema, those of older versions, and its transactions."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import JSON, func, insert, select
from sqlalchemy.exc import IntegrityError
from tests.databases import said_again
from tests.live import LiveServer

from atlas_server.archive.logs import LogArchive
from atlas_server.domain.records import JobFilter
from atlas_server.services.views import Views
from atlas_server.store import jobs, postgresql, projects, tracking
from atlas_server.store.engine import SCHEMA_VERSION, Store, same_schema
from atlas_server.store.schema import metadata
from atlas_server.store.tables import projects as table
from foundations.errors import ServerError, Unavailable

DATABASES = sorted((Path(__file__).parents[1] / "data").glob("schema-*.db"))


@pytest.fixture
def where(tmp_path, databases):
    where = databases.new(tmp_path)
    yield where
    databases.drop(where)


@pytest.fixture
def store(where):
    store = Store(where)
    yield store
    store.close()


def count(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_new_database_is_as_the_tables_say(store):
    with store.read() as connection:
        assert same_schema(connection) == []


@pytest.mark.postgres
def test_texts_in_postgresql_are_as_in_sqlite(cluster):
    # Of any length, compared by their bytes, JSON as Python writes it.
    store = Store(cluster.url(cluster.create()))
    with store.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT table_name, column_name, data_type, collation_name, character_maximum_length"
            " FROM information_schema.columns WHERE table_schema = 'public'"
        ).all()
    store.close()
    known = {
        f"{table.name}.{column.name}" for table in metadata.sorted_tables for column in table.c
    }
    texts = [row for row in rows if row[2] in ("text", "character varying", "json", "jsonb")]
    own = [row for row in texts if f"{row[0]}.{row[1]}" in known]
    assert len(own) > 30
    assert [row for row in own if row[2] not in ("text", "character varying")] == []
    assert [row for row in own if row[3] != "C" or row[4] is not None] == []
    assert not any(isinstance(c.type, JSON) for t in metadata.sorted_tables for c in t.c)


def test_rows_keep_their_numbers_for_ever(tmp_path):
    store = Store(tmp_path / "atlas.db")
    # Numbers of deleted jobs must not be given again: lists are paged by them.
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type='table'")
        made = {name: sql for name, sql in rows}
    store.close()
    assert set(made) >= set(metadata.tables)
    assert all("AUTOINCREMENT" in made[name] for name in ("jobs", "events"))


def test_database_is_for_its_owner_alone(tmp_path):
    Store(tmp_path / "atlas.db").close()
    assert (tmp_path / "atlas.db").stat().st_mode & 0o077 == 0


def test_there_is_a_kept_database_of_every_older_schema():
    kept = {path.stem.partition("-")[2] for path in DATABASES}
    older = {f"{number:04}" for number in range(1, int(SCHEMA_VERSION))}
    assert older <= kept


@pytest.mark.parametrize("database", DATABASES, ids=lambda path: path.stem)
def test_kept_database_opens_with_all_that_is_in_it(database, tmp_path):
    copy = tmp_path / "atlas.db"
    shutil.copyfile(database, copy)
    store = Store(copy)
    views = Views(store, LogArchive(tmp_path))
    try:
        with store.read() as connection:
            assert same_schema(connection) == []
        expected = json.loads(database.with_suffix(".json").read_text())
        listed, _ = views.rows(JobFilter(), 100)
        assert [job["job_id"] for job in listed] == [job["job_id"] for job in expected[::-1]]
        for job in expected:
            found = json.loads(json.dumps(views.details(views.resolve(job["job_id"]))))
            assert said_again(job, found)
    finally:
        store.close()


@pytest.mark.parametrize("database", DATABASES, ids=lambda path: path.stem)
def test_server_starts_on_a_kept_database(database, tmp_path):
    server = LiveServer(tmp_path)
    (server.home / "database").mkdir(parents=True)
    shutil.copyfile(database, server.home / "database" / "atlas.db")
    with server:
        done = server.cli("list", "--all", "--json")
        assert done.code == 0, done
        expected = json.loads(database.with_suffix(".json").read_text())
        assert len(json.loads(done.out)) == len(expected)
        assert server.cli("show", expected[0]["job_id"]).code == 0


def test_newer_schema_is_refused(tmp_path):
    path = tmp_path / "home" / "database" / "atlas.db"
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(ServerError, match=r"newer Atlas.*9999"):
        Store(path)
    server = LiveServer(tmp_path)
    done = server.server_command("start")
    assert done.code == 1
    assert "newer Atlas" in done.err
    assert "Traceback" not in done.err + server.log()
    server.wait_for(lambda: not server.processes(), "end of the server that did not start")


def test_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "atlas.db"
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(ServerError, match="cannot be used"):
        Store(path)
    assert path.read_bytes().startswith(b"this is not")


def test_opening_again_changes_nothing(where, store):
    with store.write() as connection:
        projects.ensure(connection, "kept", 1.0)
    other = Store(where)
    assert count(other) == 1
    other.close()


def test_threads_that_write_wait_for_each_other(where, store):
    # A second store stands for another process on the same database.
    other = Store(where)
    failures: list[BaseException] = []
    begin = threading.Barrier(5)

    def write(target: Store, writer: int) -> None:
        try:
            begin.wait()
            for number in range(40):
                with target.write(durable=number % 10 == 0) as connection:
                    projects.ensure(connection, f"{writer}-{number}", 1.0)
        except BaseException as error:  # noqa: BLE001 - it is what the test looks at
            failures.append(error)

    def read() -> None:
        try:
            begin.wait()
            for _ in range(100):
                with store.read() as connection:
                    counted = select(func.count()).select_from(table)
                    first = connection.execute(counted).scalar_one()
                    # One state, whatever is committed meanwhile.
                    assert connection.execute(counted).scalar_one() == first
        except BaseException as error:  # noqa: BLE001 - it is what the test looks at
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(target, writer))
        for writer, target in enumerate([store, store, store, other])
    ]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert failures == []
    assert count(store) == 160


def test_error_in_a_transaction_leaves_nothing(store):
    def fail() -> None:
        with store.write() as connection:
            projects.ensure(connection, "half done", 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert count(store) == 0
    with store.write() as connection:
        projects.ensure(connection, "next", 1.0)
    assert count(store) == 1


def test_errors_do_not_show_what_was_to_be_written(store):
    # They are logged, and the secrets of jobs are among it.
    with pytest.raises(IntegrityError) as raised, store.write() as connection:
        connection.execute(insert(table), {"name": "hunter2-hunter2", "created_at": None})
    assert "hunter2" not in str(raised.value)


def test_version_is_another_after_each_write(where, store):
    other = Store(where) if isinstance(where, str) else store
    before = store.version
    assert store.version == before
    with other.write() as connection:
        projects.ensure(connection, "new", 1.0)
    assert store.version != before
    other.close()


def test_names_and_texts_of_any_kind_are_kept(store):
    long, strange = "n" * 3000, "a\0b"
    with store.write() as connection:
        project = projects.ensure(connection, "p", 1.0)
        row = {"job_id": "1", "project_id": project, "user": "u", "state": "queued", "priority": 0}
        row |= {"cpus": 1.0, "gpus": 0.0, "retries": 0, "attempts": 0, "submitted_at": 1.0}
        row |= {"queued_at": 1.0, "bundle": "b", "spec": {"not finite": [math.nan, math.inf]}}
        job = jobs.insert_job(connection, row)
        tracking.set_params(connection, job, {long: 1, strange: strange, "x": math.nan})
        tracking.set_tags(connection, job, {long: "", "huge": "t" * 100_000})
        tracking.add_points(connection, job, [tracking.Point(long, 1.0, None, math.inf)] * 200)
    with store.read() as connection:
        params = tracking.params_of(connection, [job])[job]
        (latest,) = tracking.latest_of(connection, [job])[job].values()
        assert len(tracking.tags_of(connection, [job])[job]["huge"]) == 100_000
        found = jobs.find(connection, "1")
    assert (latest["value"], latest["count"]) == ("Infinity", 200)
    assert found is not None
    assert math.isnan(found.spec["not finite"][0])
    assert len(params) == 3
    assert max(map(len, params)) == 500
    assert math.isnan(params["x"])


def test_reading_changes_nothing(tmp_path):
    store = Store(tmp_path / "atlas.db")
    with store.read() as connection:
        connection.execute(insert(table).values(name="x", created_at=1.0))
        connection.rollback()
    assert count(store) == 0
    store.close()


def test_what_was_written_is_there_after_a_kill(where, store):
    # No close, no checkpoint: the process is simply gone.
    script = (
        "import os, sys; from pathlib import Path\n"
        "from atlas_server.store.engine import Store\n"
        "from atlas_server.store import projects\n"
        "where = sys.argv[1] if '://' in sys.argv[1] else Path(sys.argv[1])\n"
        "with (store := Store(where)).write(durable=True) as connection:\n"
        "    projects.ensure(connection, 'kept', 1.0)\n"
        "with store.write() as connection:\n"
        "    projects.ensure(connection, 'never committed', 1.0)\n"
        "    os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(where)], timeout=60)
    assert done.returncode == 9
    with store.write():
        pass  # nobody holds the lock of writers
    with store.read() as connection:
        assert list(connection.execute(select(table.c.name)).scalars()) == ["kept"]


@pytest.mark.postgres
def test_who_waited_for_others_in_vain_does_not_wait_again(tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql, "_PATIENCE", 0.0)
    database = postgresql.PostgresDatabase(f"postgresql://ada@/none?host={tmp_path}")
    tried, refused = [], []
    arrived, turn = threading.Semaphore(0), database._write_lock

    class Queue:
        def __enter__(self) -> None:
            arrived.release()
            turn.acquire()

        def __exit__(self, *_: object) -> None:
            turn.release()

    monkeypatch.setattr(database, "_write_lock", Queue())

    def write() -> None:
        try:
            with database.writing(durable=False, attempt=None):
                raise AssertionError
        except Unavailable as error:
            refused.append(error.message)

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ".s.PGSQL.5432"))
        silent.listen()

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    tried.append(silent.accept()[0].close())

        listener = threading.Thread(target=hang_up)
        listener.start()
        writers = [threading.Thread(target=write) for _ in range(8)]
        with turn:
            for writer in writers:
                writer.start()
                arrived.acquire()
        for writer in writers:
            writer.join()
        assert len(refused) == 8
        assert {"does not answer" in message for message in refused} == {True}
        alone = len(tried)
        write()
        silent.shutdown(socket.SHUT_RDWR)
        listener.join()
    assert len(tried) == 2 * alone
    database.close()
