"""What a node keeps stays within its bounds, and what somebody needs stays."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from atlas_runner.fetching import cache_lock
from atlas_runner.node_cache import Bounds, trim
from foundations.blobs import BlobDir

DAY = 86400.0


class Node:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.blobs = BlobDir(str(home / "blobs"))

    def blob(self, letter: bytes, size: int, days: float) -> None:
        _used(Path(self.blobs.path(self.blobs.put_bytes(letter * size))), days)

    def environment(self, name: str, size: int, days: float) -> None:
        place = self.home / "envs" / name
        place.mkdir(parents=True)
        (place / "package").write_bytes(b"x" * size)
        (self.home / "envs" / f"{name}.lock").touch()
        (place / ".atlas-complete").touch()
        _used(place / ".atlas-complete", days)

    def attempt(self, days: float) -> Path:
        folder = self.home / "work" / f"job-{days}" / "1"
        folder.mkdir(parents=True)
        for name in ("identity", "lock"):
            (folder / name).touch()
        _used(folder / "identity", days)
        _used(folder, days)
        return folder

    def kept(self) -> set[str]:
        found = set()
        for digest in self.blobs.iter_digests():
            with self.blobs.open(digest) as file:
                found.add(file.read(1).decode())
        return found | {path.parent.name for path in self.home.glob("envs/*/package")}


def _used(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.blob(b"a", 1000, days=5)
    node.environment("b", 1000, days=4)
    node.blob(b"c", 1000, days=3)
    node.environment("d", 1000, days=2)
    return node


def test_what_was_used_longest_ago_goes_first(node: Node) -> None:
    trim(str(node.home), Bounds(size=10_000, age=4.5 * DAY))
    assert node.kept() == {"b", "c", "d"}
    trim(str(node.home), Bounds(size=2_000, age=9 * DAY))
    assert node.kept() == {"c", "d"}
    trim(str(node.home), Bounds(size=0, age=9 * DAY))
    assert node.kept() == set()


def test_what_a_job_here_may_use_stays(node: Node) -> None:
    downloads = node.home / "cache" / "uv"
    downloads.mkdir(parents=True)
    (downloads / "wheel").write_bytes(b"x" * 1000)
    folder = node.attempt(days=3.5)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trim(str(node.home), Bounds(size=0, age=9 * DAY))
        assert node.kept() == {"d"}
        assert (downloads / "wheel").exists()
        trim(str(node.home), Bounds(size=0, age=1 * DAY))
        assert folder.exists()
    # Nobody came back to what it has left.
    trim(str(node.home), Bounds(size=0, age=1 * DAY))
    assert not folder.exists()
    assert node.kept() == set()
    assert not downloads.exists()


def test_nothing_goes_while_a_job_is_given_its_code(node: Node) -> None:
    with open(cache_lock(str(node.home)), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        trim(str(node.home), Bounds(size=0, age=0))
        assert node.kept() == {"a", "b", "c", "d"}


def test_bounds_are_what_the_server_says() -> None:
    variables = {"ATLAS_CACHE_SIZE": "1000", "ATLAS_CACHE_AGE": "60.0"}
    assert Bounds.told(variables) == Bounds(1000, 60)
    assert Bounds.told({}) is None
