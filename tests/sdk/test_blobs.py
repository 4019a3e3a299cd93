"""The store of contents: complete and verified, or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from foundations import blobs as blobs_module
from foundations.blobs import BlobDir
from foundations.errors import BundleError, NotFound, StorageFull

DATA = b"some content"
DIGEST = hashlib.sha256(DATA).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def leftovers(blobs: BlobDir) -> List[str]:
    return os.listdir(os.path.join(blobs.root, "tmp"))


@pytest.fixture
def blobs(tmp_path: Path) -> BlobDir:
    return BlobDir(str(tmp_path / "blobs"))


@pytest.mark.parametrize("durable", [True, False])
def test_bytes_go_in_and_come_out(blobs: BlobDir, durable: bool) -> None:
    assert blobs.put_bytes(DATA, durable=durable) == DIGEST
    assert blobs.put_bytes(DATA, durable=durable) == DIGEST
    assert blobs.has(DIGEST)
    assert blobs.size(DIGEST) == len(DATA)
    with blobs.open(DIGEST) as file:
        assert file.read() == DATA
    assert blobs.path(DIGEST) == os.path.join(blobs.root, DIGEST[:2], DIGEST[2:])
    assert stat.S_IMODE(os.stat(blobs.path(DIGEST)).st_mode) == 0o444
    assert leftovers(blobs) == []


def test_an_empty_store(blobs: BlobDir) -> None:
    assert not blobs.has(DIGEST)
    assert list(blobs.iter_digests()) == []
    assert blobs.missing([OTHER, DIGEST, OTHER]) == [OTHER, DIGEST]
    assert not blobs.delete(DIGEST)
    assert blobs.sweep(older_than=0) == (0, 0)
    for call in (blobs.open, blobs.size):
        with pytest.raises(NotFound):
            call(DIGEST)


def test_names_that_are_no_digest_reach_no_file(blobs: BlobDir) -> None:
    for name in ("", "../" + "a" * 61, "A" * 64, "a" * 63, "/etc/passwd", "a" * 64 + "\n"):
        for call in (blobs.has, blobs.path, blobs.open, blobs.delete):
            with pytest.raises(BundleError):
                call(name)
        with pytest.raises(BundleError):
            blobs.put_stream([DATA], name)
    assert not os.path.exists(blobs.root)


def test_listing_and_deleting(blobs: BlobDir) -> None:
    found = {blobs.put_bytes(str(n).encode(), durable=False) for n in range(50)}
    Path(blobs.root, "ab").mkdir(exist_ok=True)
    Path(blobs.root, "ab", "stray").touch()
    assert set(blobs.iter_digests()) == found
    assert blobs.missing([*found, DIGEST]) == [DIGEST]
    for digest in found:
        assert blobs.delete(digest)
    assert set(blobs.iter_digests()) == set()


def test_what_was_written_again_is_not_deleted(blobs: BlobDir) -> None:
    digest = blobs.put_bytes(DATA)
    os.utime(blobs.path(digest), (1000, 1000))
    assert not blobs.delete(digest, written_before=1000)
    assert blobs.put_bytes(DATA) == digest
    assert not blobs.delete(digest, written_before=1001)
    os.utime(blobs.path(digest), (1000, 1000))
    assert blobs.delete(digest, written_before=1001)
    assert not blobs.has(digest)
    assert leftovers(blobs) == []


def test_a_stream_with_another_digest_leaves_nothing(blobs: BlobDir) -> None:
    assert blobs.put_stream(iter([b"some ", b"", b"content"]), DIGEST) == len(DATA)
    with pytest.raises(BundleError, match="announced"):
        blobs.put_stream([DATA], OTHER)
    assert list(blobs.iter_digests()) == [DIGEST]
    assert leftovers(blobs) == []


def test_a_stream_that_breaks_leaves_nothing(blobs: BlobDir) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some "
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        blobs.put_stream(broken(), DIGEST)
    assert list(blobs.iter_digests()) == []
    assert leftovers(blobs) == []


def test_files_are_copied(blobs: BlobDir, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    assert blobs.put_file(str(path)) == (DIGEST, len(DATA))
    path.write_bytes(b"something else")
    with blobs.open(DIGEST) as file:
        assert file.read() == DATA
    with pytest.raises(BundleError, match="changed"):
        blobs.put_file(str(path), DIGEST)
    for bad in (tmp_path / "missing", tmp_path):
        with pytest.raises(BundleError, match=bad.name):
            blobs.put_file(str(bad))
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(BundleError, match="link"):
        blobs.put_file(str(tmp_path / "link"))
    assert leftovers(blobs) == []


def test_files_are_adopted_without_a_copy(blobs: BlobDir, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(DATA)
    os.utime(str(path), (1, 1))
    inode = path.stat().st_ino
    assert blobs.adopt(str(path)) == (DIGEST, len(DATA))
    assert not path.exists()
    found = os.stat(blobs.path(DIGEST))
    assert found.st_mtime > 1e9, "it is new to the store, or it would be swept"
    assert (found.st_ino, stat.S_IMODE(found.st_mode)) == (inode, 0o444)


def test_a_file_with_two_names_is_copied(blobs: BlobDir, tmp_path: Path) -> None:
    path, other = tmp_path / "model", tmp_path / "other"
    path.write_bytes(DATA)
    os.link(str(path), str(other))
    assert blobs.adopt(str(path)) == (DIGEST, len(DATA))
    assert not path.exists()
    other.write_bytes(b"changed")
    with blobs.open(DIGEST) as file:
        assert file.read() == DATA


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
def test_a_file_of_another_file_system_is_copied(blobs: BlobDir) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no other file system to write to")
    path = Path("/dev/shm", f"adopted-{os.getpid()}-{time.monotonic_ns()}")
    try:
        path.write_bytes(DATA)
        assert blobs.adopt(str(path)) == (DIGEST, len(DATA))
        assert not path.exists()
    finally:
        if path.exists():
            path.unlink()
    assert blobs.has(DIGEST)


def test_a_file_that_cannot_be_stored_stays_where_it_was(
    blobs: BlobDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_bytes(DATA)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(blobs_module.os, "fsync", full)
    with pytest.raises(StorageFull):
        blobs.adopt(str(path))
    assert path.read_bytes() == DATA
    assert list(blobs.iter_digests()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_named_and_recovers(blobs: BlobDir, monkeypatch: pytest.MonkeyPatch) -> None:
    real, full = os.write, os.open("/dev/full", os.O_WRONLY)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(blobs_module.os, "write", lambda _, data: real(full, data))
            for call in (blobs.put_bytes, lambda data: blobs.put_stream([data], DIGEST)):
                with pytest.raises(StorageFull, match="full"):
                    call(DATA)
    finally:
        os.close(full)
    assert leftovers(blobs) == []
    assert blobs.put_bytes(DATA) == DIGEST


def test_many_writers_of_one_digest(blobs: BlobDir) -> None:
    content = os.urandom(300_000)
    digest = hashlib.sha256(content).hexdigest()
    errors: List[Exception] = []
    barrier = threading.Barrier(8)

    def put() -> None:
        barrier.wait()
        try:
            for _ in range(5):
                chunks = [content[n : n + 7000] for n in range(0, len(content), 7000)]
                blobs.put_stream(chunks, digest, durable=False)
                with blobs.open(digest) as file:
                    assert file.read() == content
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(blobs.iter_digests()) == [digest]
    assert leftovers(blobs) == []


def test_a_batch_is_seen_when_it_is_complete(blobs: BlobDir, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"other")
    with blobs.batch() as batch:
        batch.put_bytes(DATA)
        batch.put_file(str(path))
        batch.put_stream([b"x"], hashlib.sha256(b"x").hexdigest())
        assert list(blobs.iter_digests()) == []
    assert set(blobs.iter_digests()) == {DIGEST, OTHER, hashlib.sha256(b"x").hexdigest()}
    assert leftovers(blobs) == []


def test_a_batch_that_fails_leaves_nothing(blobs: BlobDir) -> None:
    def fill() -> None:
        with blobs.batch() as batch:
            batch.put_bytes(DATA)
            batch.put_stream([b"x"], OTHER)

    with pytest.raises(BundleError):
        fill()
    with blobs.batch():
        pass
    assert list(blobs.iter_digests()) == []
    assert leftovers(blobs) == []


def test_what_killed_writers_left_is_swept(blobs: BlobDir) -> None:
    blobs.put_bytes(DATA)
    temporary = Path(blobs.root, "tmp")
    (temporary / "1-old").write_bytes(b"half")
    (temporary / "1-batch" / "tmp").mkdir(parents=True)
    for name in ("1-old", "1-batch"):
        os.utime(str(temporary / name), (1000, 1000))
    (temporary / "2-new").write_bytes(b"half")
    assert blobs.sweep(older_than=2000)[0] == 2
    assert leftovers(blobs) == ["2-new"]
    assert blobs.has(DIGEST)
