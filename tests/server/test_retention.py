"""Rules of what is kept for how long: what they are about, and what they leave alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.server.test_content import add_job, clearing_of, folder_of, put

from atlas_server.archive.bundles import Bundles
from atlas_server.config import ServerConfig
from atlas_server.domain.deeds import AuditFilter, Deed
from atlas_server.domain.limits import PROJECT, Scope
from atlas_server.domain.retention import KEEP_ALL, read_retention
from atlas_server.services.clearing import Clearing
from atlas_server.services.feed import Feed
from atlas_server.services.limits import LimitBook
from atlas_server.store import audits, events, jobs, retention, tracking
from atlas_server.upkeep import Kept
from foundations.blobs import BlobDir
from foundations.errors import ConfigError

DAY = 86400.0


@pytest.fixture
def store(tmp_path, databases):
    with databases.store(tmp_path) as store:
        yield store


@pytest.fixture
def bundles(tmp_path):
    return Bundles(BlobDir(str(tmp_path / "blobs")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "must hold"),
        ({"ruls": []}, "did you mean 'rules'"),
        ({"rules": [{"remove": "log"}]}, "say `after`"),
        ({"rules": [{"remove": "logs", "after": "1d"}]}, "cannot be 'logs'"),
        ({"rules": [{"remove": "log", "after": "soon"}]}, "not a duration"),
        ({"rules": [{"remove": "log", "after": "1d", "states": ["running"]}]}, "'running'"),
        ({"rules": [{"remove": "log", "after": "1d", "keep_last": -1}]}, "whole number"),
        ({"rules": [{"remove": "log", "after": "1d", "keep_last": 10**30}]}, "whole number"),
        ({"rules": [{"remove": [], "after": "1d"}]}, "must name something"),
        ({"rules": [{"name": "a", "remove": "log", "after": 1}] * 2}, "two rules"),
        ({"environments": "x"}, "environments"),
    ],
)
def test_what_cannot_be_a_rule(given, message):
    with pytest.raises(ConfigError) as raised:
        read_retention(given)
    assert message.lower() in str(raised.value).lower()


def test_nothing_is_removed_by_rules_where_there_are_none():
    assert read_retention(None) == KEEP_ALL
    assert KEEP_ALL.rules == ()
    assert KEEP_ALL.audit is None
    assert read_retention({"environments": "never"}).environments is None


class Home:
    """A home with jobs of different ages, and what each has."""

    def __init__(self, root: Path, store, bundles) -> None:
        self.root, self.store = root, store
        self.bundle = folder_of(bundles, put(bundles, b"code"))
        self.kept = Kept.of(ServerConfig(home=root))
        self.made = folder_of(bundles, put(bundles, b"results"))
        self.model = put(bundles, b"model")

    def add(self, job_id: str, days: float, tags: str = "", **values: object) -> str:
        values = {"finished_at": time.time() - days * DAY, "outputs": self.made, **values}
        key = add_job(self.store, self.bundle, job_id=job_id, **values)
        artifact = {"key": "model", "filename": "m", "digest": self.model, "size": 5}
        with self.store.write() as connection:
            artifact |= {"folder": False, "created_at": 1.0}
            tracking.add_artifact(connection, key, artifact)
            events.append(connection, 1.0, "job.state", job_id, {"state": "queued"})
            if tags:
                tracking.set_tags(connection, key, {tags: ""})
        self.kept.logs.append(job_id, 1, 0, b"printed")
        return job_id

    def clearing(self, *rules: dict[str, object], **others: object) -> Clearing:
        return clearing_of(self.root, self.store, {"rules": list(rules), **others})

    def with_log(self) -> set[str]:
        return {job_id for job_id, _ in self.kept.logs.written()}


@pytest.fixture
def home(tmp_path, store, bundles):
    return Home(tmp_path, store, bundles)


def test_rules_are_about_what_they_say(home):
    for number, days in enumerate((40, 30, 20, 2)):
        home.add(f"job-{number}", days)
    home.add("kept", 50, tags="keep")
    home.add("failed", 50, state="failed")
    home.add("running", 50, state="running", finished_at=None)
    rule = {"remove": ["log"], "after": "10d", "states": ["completed"], "keep_last": 2}
    # The newest completed ones are `kept` and job-3.
    list(home.clearing(rule).clear(dry=False))
    assert home.with_log() == {"job-3", "kept", "failed", "running"}
    elsewhere = {"remove": ["log"], "after": "10d", "projects": ["other*"]}
    assert list(home.clearing(elsewhere).clear(dry=False)) == []


def test_removed_content_is_told_and_its_space_is_free(home, store, bundles):
    home.add("old", 20)
    home.add("new", 1)
    rule = {"name": "r", "remove": ["artifacts", "results", "log"], "after": "10d"}
    found = {each.what: each.freed.size for each in home.clearing(rule).clear(dry=False)}
    assert found == {"artifacts": 5, "results": 1, "log": 7}
    assert not bundles.blobs.missing([home.made, home.model])  # `new` has the same
    with store.read() as connection:
        job = jobs.find(connection, "old")
        assert job is not None
        assert job.outputs is None
        assert {each.what for each in retention.of_job(connection, job.id)} == set(rule["remove"])
        told = [event for event in events.of_job(connection, "old") if "rule" in event.payload]
        assert {event.payload["what"] for event in told} == set(rule["remove"])
        (_, deed), *_ = audits.entries(connection, AuditFilter(action="retention.remove"), 10)
    assert deed.target == "rule 'r': log of 1 jobs"
    # Somebody was killed between noting and removing.
    home.kept.logs.append("old", 1, 0, b"printed")
    folder = home.kept.logs.index_path("old", 1).parent
    os.utime(folder, (1, 1))
    assert [each.what for each in home.clearing(rule).clear(dry=False)] == ["files of removed jobs"]
    list(home.clearing({**rule, "name": "s", "after": "1h"}).clear(dry=False))
    assert bundles.blobs.missing([home.made, home.model]) == [home.made, home.model]


def test_whole_jobs_go_but_not_those_of_a_search_that_goes_on(home, store):
    home.add("old", 20)
    home.add("new", 1)
    home.add("trial", 20, search="lr")
    with store.write() as connection:
        connection.execute(
            text(
                'INSERT INTO searches (search_id, name, project_id, "user", state, definition,'
                " spec, bundle, created_at, spent)"
                " VALUES ('s', 'lr', 1, 'ada', 'running', '{}', '{}', :bundle, 1, 0)"
            ),
            {"bundle": home.bundle},
        )
    list(home.clearing({"name": "r", "remove": ["job"], "after": "10d"}).clear(dry=False))
    assert home.with_log() == {"new", "trial"}
    with store.read() as connection:
        assert jobs.find(connection, "old") is None
        (deleted,) = (e for e in events.of_job(connection, "old") if e.kind == "job.deleted")
        # What happened to it before is no use any more.
        assert deleted.payload == {"project": "tests", "rule": "r"}
        assert len(events.of_job(connection, "old")) == 1


def test_old_entries_of_the_audit_log_go(home, store):
    home.add("job", 1)
    deeds = [
        Deed(time.time() - days * DAY, "ada", "", "local", "jobs.stop", "x", 200)
        for days in (400, 10)
    ]
    with store.write() as connection:
        audits.append(connection, deeds)
    assert list(home.clearing().clear(dry=False)) == []
    (cleared,) = home.clearing(audit="365d").clear(dry=False)
    assert (cleared.what, cleared.freed.files) == ("audit log", 1)


def test_logs_count_against_what_may_be_stored(home, store, bundles):
    home.add("over", 20)
    home.add("running", 0, state="running", finished_at=None)
    book = LimitBook(store, Feed(), bundles, _Clock(), files=home.kept.files.values())
    scope = Scope(PROJECT, "tests")
    before = book.stored(scope)
    assert before == 1 + 1 + 5 + 2 * len("printed")  # code, results, model, logs
    home.kept.logs.append("running", 1, 7, b" more")
    assert book.stored(scope) == before + len(" more")
    list(home.clearing({"remove": ["log"], "after": "10d"}).clear(dry=False))
    assert book.stored(scope) == before + len(" more") - len("printed")


class _Clock:
    def now(self) -> float:
        return time.time()


def test_environments_that_a_running_job_may_use_stay(home, store):
    now = time.time()
    for name, days in (("old", 90), ("used", 70), ("new", 1), ("broken", 90)):
        place = home.root / "envs" / name
        place.mkdir(parents=True)
        (home.root / "envs" / f"{name}.lock").touch()
        marker = place if name == "broken" else place / ".atlas-complete"
        marker.touch()
        os.utime(marker, (now - days * DAY, now - days * DAY))
    key = add_job(store, home.bundle, job_id="running", state="running")
    with store.write() as connection:
        attempt = {
            "job": key, "number": 1, "token": "t", "executor": "local", "allocation": {},
            "lease_until": 1.0, "recoveries": 0, "created_at": now - 80 * DAY,
        }  # fmt: skip
        jobs.insert_attempt(connection, attempt)
        events.append(connection, now, "job.state", "running", {"state": "running"})
    (cleared,) = home.clearing().clear(dry=False)
    assert (cleared.what, cleared.freed.files) == ("environments", 2)
    left = {path.name for path in (home.root / "envs").iterdir() if path.is_dir()}
    assert left == {"used", "new"}
