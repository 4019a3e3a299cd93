"""What jobs consist of and leave behind: kept while anything needs it, and no longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.live import LiveServer, make_folder

from atlas_server.archive.bundles import Bundles, InUse
from atlas_server.clock import SystemClock
from atlas_server.config import ServerConfig
from atlas_server.domain.freed import Freed
from atlas_server.services.archives import Archives
from atlas_server.services.clearing import Clearing
from atlas_server.services.feed import Feed
from atlas_server.store import events, jobs, projects, tracking
from atlas_server.store.engine import Store
from atlas_server.upkeep import Kept, make_archives, make_clearing
from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.errors import BlobsMissing, Refused


@pytest.fixture
def bundles(tmp_path):
    return Bundles(BlobDir(str(tmp_path / "blobs")))


@pytest.fixture
def store(tmp_path, databases):
    with databases.store(tmp_path) as store:
        yield store


def clearing_of(home: Path, store: Store, retention: object = None) -> Clearing:
    """What clears a home away, as its server does."""
    config = ServerConfig(home=home, retention=retention)
    kept = Kept.of(config)
    archives = make_archives(config, store, kept)
    return make_clearing(config, store, kept, archives, Feed(), SystemClock())


def put(bundles: Bundles, data: bytes, age: float = 10) -> str:
    """Store a blob that was written `age` seconds ago."""
    digest = bundles.blobs.put_bytes(data, durable=False)
    then = time.time() - age
    os.utime(bundles.blobs.path(digest), (then, then))
    return digest


def folder_of(bundles: Bundles, *digests: str, age: float = 10) -> str:
    entries = [(f"file{n}", "f", digest, 1) for n, digest in enumerate(digests)]
    return put(bundles, manifest.encode(entries), age)


def add_job(store: Store, bundle: str, **values: object) -> int:
    with store.write() as connection:
        row = {
            "job_id": f"job of {bundle}", "project_id": projects.ensure(connection, "tests", 1.0),
            "user": "tester", "state": "completed", "priority": 0, "cpus": 1, "gpus": 0,
            "retries": 0, "attempts": 1, "submitted_at": 1, "queued_at": 1, "bundle": bundle,
            "spec": {},
        }  # fmt: skip
        return jobs.insert_job(connection, {**row, **values})


def test_what_another_job_has_stays(bundles):
    shared, own = put(bundles, b"shared"), put(bundles, b"own")
    live = folder_of(bundles, shared)
    assert bundles.release([shared, own, live], lambda: InUse({live: True})).files == 1
    assert bundles.blobs.missing([shared, own, live]) == [own]


def test_one_bad_manifest_does_not_keep_everything(bundles):
    bad, huge, unused = put(bundles, b"no manifest"), put(bundles, b"1"), put(bundles, b"2")
    os.chmod(bundles.blobs.path(huge), 0o644)
    os.truncate(bundles.blobs.path(huge), manifest.MAX_MANIFEST_BYTES + 1)
    gone = manifest.digest(b"never stored")
    live = InUse({bad: True, huge: True, gone: True})
    assert bundles.everything(bad) == {bad}
    assert bundles.release([bad, huge, unused], lambda: live).files == 1
    assert bundles.blobs.missing([bad, huge, unused]) == [unused]


def test_what_an_attempt_has_stored_and_not_told_of_stays(bundles):
    now = time.time()
    old, output = put(bundles, b"old", age=100), put(bundles, b"output", age=5)
    running = InUse({}, unreported_since=now - 50)
    assert bundles.release([old, output], lambda: running).files == 1
    assert bundles.blobs.has(output)
    # Once it is over, whatever it did not report is nobody's.
    assert bundles.release([output], lambda: InUse({})).files == 1


def test_job_that_is_submitted_while_blobs_are_removed_keeps_its_own(bundles):
    blobs = [put(bundles, bytes([n])) for n in range(3)]
    bundle = folder_of(bundles, *blobs)
    asked = []

    def in_use() -> InUse:
        # Its row is written after the first look, which is made without the lock.
        asked.append(1)
        return InUse({bundle: True} if len(asked) > 1 else {})

    assert bundles.release([bundle, *blobs], in_use).files == 0
    with bundles.in_use(bundle):
        pass


def test_bundle_that_lost_a_blob_is_not_taken_for_complete(bundles):
    blob = put(bundles, b"blob")
    bundle, missing = bundles.receive(manifest.encode([("a", "f", blob, 4)]))
    assert missing == []
    with bundles.in_use(bundle):
        pass
    bundles.release([blob], lambda: InUse({}))
    with pytest.raises(BlobsMissing), bundles.in_use(bundle):
        pass


def test_content_that_an_attempt_was_told_is_there_stays_until_it_reports(bundles):
    blob = put(bundles, b"what another job once made", age=2 * 86400)
    running = InUse({}, unreported_since=time.time())
    digest, missing = bundles.receive(manifest.encode([("made", "f", blob, 26)]))
    assert missing == []
    assert bundles.incoming.held(blob).complete
    bundles.sweep(lambda: running)
    bundles.release([blob], lambda: running)
    assert bundles.everything(digest) == {digest, blob}
    assert not bundles.blobs.missing([digest, blob])


def test_removal_that_was_killed_is_seen_by_every_process(bundles, monkeypatch):
    other = Bundles(bundles.blobs)
    blob = put(bundles, b"blob")
    bundle, _ = other.receive(manifest.encode([("a", "f", blob, 4)]))
    with other.in_use(bundle):
        pass
    child = os.fork()
    if not child:
        # It ends between moving the blob aside and deleting it.
        monkeypatch.setattr(os, "unlink", lambda _: os._exit(0))
        bundles.release([blob], lambda: InUse({}))
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(BlobsMissing), other.in_use(bundle):
        pass
    # Whoever removes anything next puts it back, and it goes by the rules.
    unused = put(bundles, b"unused")
    assert bundles.release([unused, blob], lambda: InUse({bundle: True})).files == 1
    with other.in_use(bundle):
        pass


def test_another_database_than_the_homes_removes_nothing(tmp_path, store, bundles):
    put(bundles, b"of jobs that this database does not know", age=2 * 86400)
    with pytest.raises(Refused, match="never had a job"):
        list(clearing_of(tmp_path, store).clear(dry=False))
    assert len(list(bundles.blobs.iter_digests())) == 1


def test_what_killed_processes_left_goes_and_what_is_young_stays(tmp_path, store, bundles):
    add_job(store, folder_of(bundles))
    clearing = clearing_of(tmp_path, store)
    with store.write() as connection:
        events.append(connection, 1.0, "job.state", "gone", {"state": "queued"})
        events.append(connection, 1.0, "job.deleted", "gone", {})
    kept = Kept.of(ServerConfig(home=tmp_path))
    old = time.time() - 90 * 86400
    for job_id in ("gone", "new"):
        kept.logs.append(job_id, 1, 0, b"printed")
        kept.samples.append(job_id, [(1.0, {"cpu": 1.0})])
        kept.synced.write(job_id, "key", "file", [b"content"], 1)
        if job_id == "gone":
            for files in kept.files.values():
                for path in tmp_path.rglob("*gone*"):
                    os.utime(path, (old, old))
                assert dict(files.written())[job_id] == old
    (tmp_path / "cache" / "hashes").mkdir(parents=True)
    (tmp_path / "cache" / "hashes" / "one.json").write_text("{}")
    os.utime(tmp_path / "cache" / "hashes" / "one.json", (old, old))
    would = [(each.what, each.freed) for each in clearing.clear(dry=True)]
    assert [(each.what, each.freed) for each in clearing.clear(dry=False)] == would
    assert {what: freed.files for what, freed in would} == {
        "files of removed jobs": 3, "caches": 1, "history of deleted jobs": 1,
    }  # fmt: skip
    assert list(clearing.clear(dry=False)) == []
    assert [job for files in kept.files.values() for job, _ in files.written()] == 3 * ["new"]


def test_tidying_passes_over_what_it_cannot_remove(tmp_path, store, bundles):
    work = tmp_path / "work"
    attempt = work / "some job" / "1"
    attempt.mkdir(parents=True)
    (work / "stray").write_text("a file among the folders")
    (work / "other job").mkdir()
    (work / "other job" / "1").write_text("no folder")
    unused, fresh = put(bundles, b"unused", age=2 * 86400), put(bundles, b"fresh")
    with store.write() as connection:
        events.append(connection, 1.0, "job.deleted", "some job", {})  # it is no new database
    list(clearing_of(tmp_path, store).clear(dry=False))
    assert not attempt.parent.exists()
    assert (work / "stray").exists()
    assert bundles.blobs.missing([unused, fresh]) == [unused]


def test_sweep_spares_what_an_attempt_may_still_report(tmp_path, store, bundles):
    archives = Archives(store, bundles, {})
    output = put(bundles, b"output", age=2 * 86400)
    job = add_job(store, folder_of(bundles), state="running")
    with store.write() as connection:
        attempt = {
            "job": job, "number": 1, "token": "t", "executor": "local", "allocation": {},
            "lease_until": 1.0, "recoveries": 0, "created_at": time.time() - 3 * 86400,
        }  # fmt: skip
        jobs.insert_attempt(connection, attempt)
    assert archives.sweep() == Freed()
    with store.write() as connection:
        connection.execute(text("UPDATE attempts SET ended_at = 1"))
    assert archives.sweep(dry=True) == Freed(1, 6)
    assert archives.sweep() == Freed(1, 6)
    assert not bundles.blobs.has(output)


def test_deleted_job_gives_its_space_back(tmp_path):
    with LiveServer(tmp_path) as server:
        folder = make_folder(tmp_path / "code", main="open('result', 'w').write('made')")
        job = server.send(folder, "main.py")
        outputs = server.completed(job)["outputs"]
        blobs = BlobDir(str(server.home / "blobs"))
        assert blobs.has(outputs)
        server.api().delete(job)
        server.wait_for(lambda: not list(blobs.iter_digests()), "empty store")


@pytest.mark.parametrize(
    ("key", "filename"),
    [
        ("a" * 300, "model.bin"),
        ("\N{DUCK}" * 100, "x." + "\N{DUCK}" * 300),
        ("a/b", "name.with/slash"),
        ("a", "nul.\0"),
        ("..", "file"),
    ],
)
def test_any_artifact_has_a_file_name(store, bundles, tmp_path, key, filename):
    archives = Archives(store, bundles, {})
    digest = put(bundles, b"content")
    key_of_job = add_job(store, folder_of(bundles))
    values = {"filename": filename, "digest": digest, "size": 7, "folder": False, "created_at": 1.0}
    with store.write() as connection:
        for name in (key, key + "/"):  # two that lead to the same file name
            tracking.add_artifact(connection, key_of_job, {"key": name, **values})
        (job,) = jobs.by_keys(connection, [key_of_job])
    first, second = archives.artifact_members(job)
    assert first.path != second.path
    for path in (first.path, second.path):
        assert "/" not in path
        Path(tmp_path / path).write_bytes(b"")
