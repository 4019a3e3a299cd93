"""Listing and hashing a job's folder: what is sent, what is refused, what is read again."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from foundations import bundle
from foundations.bundle import hashing
from foundations.bundle.scan import (
    Bundle,
    hash_listing,
    human_size,
    list_folder,
    read_verified,
    size_warning,
)
from foundations.contract import manifest
from foundations.errors import BundleError

LONG_AGO = 1_500_000_000


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pack(root: Path, cache: Path) -> Bundle:
    return hash_listing(list_folder(str(root)), str(cache))


def kinds(found: Bundle) -> Dict[str, str]:
    return {path: kind for path, kind, _, _ in found.entries}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_every_kind_of_entry(root: Path, cache: Path) -> None:
    write(root / "main.py", b"print()")
    write(root / "run.sh", b"#!").chmod(0o755)
    write(root / "sub/deep/data", b"")
    (root / "empty/inner").mkdir(parents=True)
    (root / "sub/link").symlink_to("deep/data")
    (root / "dangling").symlink_to("nowhere")
    found = pack(root, cache)
    assert found.entries == [
        ("dangling", "l", "nowhere", 0),
        ("empty/inner", "d", "", 0),
        ("main.py", "f", hashlib.sha256(b"print()").hexdigest(), 7),
        ("run.sh", "x", hashlib.sha256(b"#!").hexdigest(), 2),
        ("sub/deep/data", "f", hashlib.sha256(b"").hexdigest(), 0),
        ("sub/link", "l", "deep/data", 0),
    ]
    assert manifest.decode(found.manifest) == found.entries
    assert found.digest == hashlib.sha256(found.manifest).hexdigest()
    assert found.total_size == 9
    digest = hashlib.sha256(b"#!").hexdigest()
    assert found.path_of(digest) == str(root / "run.sh")
    assert found.size_of(digest) == 2


def test_an_empty_folder_is_a_bundle(root: Path, cache: Path) -> None:
    assert pack(root, cache).entries == []


def test_the_listing_knows_sizes_without_reading(root: Path) -> None:
    write(root / "a", b"1" * 10)
    write(root / "b/c", b"1" * 30)
    write(root / "d", b"1" * 20)
    listing = list_folder(str(root))
    assert (listing.count, listing.total_size) == (3, 60)
    assert listing.largest(2) == [("b/c", 30), ("d", 20)]


def test_difficult_names(root: Path, cache: Path) -> None:
    names = [
        b"with space",
        b"quote'\"",
        b"new\nline",
        b"\xff\xfe",
        "é".encode(),
        b"-rf",
        b"\\",
        b"*",
    ]
    for name in names:
        with open(os.path.join(os.fsencode(str(root)), name), "wb") as file:
            file.write(name)
    found = pack(root, cache)
    assert sorted(os.fsencode(path) for path, _, _, _ in found.entries) == sorted(names)
    assert manifest.decode(found.manifest) == found.entries


def test_caches_and_environments_stay_behind_but_not_what_git_ignores(
    root: Path, cache: Path
) -> None:
    for path in (".git/HEAD", "a/__pycache__/m.pyc", "old.pyc", ".DS_Store", "a/.tox/x"):
        write(root / path)
    write(root / "env/pyvenv.cfg")
    write(root / "env/lib/x.py")
    write(root / "conda/conda-meta/history")
    write(root / "conda/bin/python")
    write(root / ".gitignore", b"data\n")
    write(root / "data/set.csv")
    write(root / "a/m.py")
    assert sorted(kinds(pack(root, cache))) == [".gitignore", "a/m.py", "data/set.csv"]


def test_a_folder_that_is_an_environment_itself_can_be_sent(root: Path, cache: Path) -> None:
    write(root / "pyvenv.cfg")
    write(root / "main.py")
    assert sorted(kinds(pack(root, cache))) == ["main.py", "pyvenv.cfg"]


def test_the_ignore_file_and_those_in_subfolders(root: Path, cache: Path) -> None:
    write(root / ".foundationsignore", b"*.ckpt\n/big/\n!.git\n!/env/\n")
    write(root / "sub/.foundationsignore", b"!best.ckpt\nprivate\n")
    for path in ("a.ckpt", "big/x", "sub/big/x", "sub/best.ckpt", "sub/private", "private"):
        write(root / path)
    write(root / ".git/HEAD")
    write(root / "env/pyvenv.cfg")
    assert sorted(kinds(pack(root, cache))) == [
        ".foundationsignore",
        ".git/HEAD",
        "env/pyvenv.cfg",
        "private",
        "sub/.foundationsignore",
        "sub/best.ckpt",
        "sub/big/x",
    ]


def test_absolute_and_winding_links_inside_become_plain_ones(root: Path, cache: Path) -> None:
    write(root / "a/target")
    (root / "b/c").mkdir(parents=True)
    (root / "b/c/absolute").symlink_to(root / "a/target")
    (root / "b/c/winding").symlink_to("../../a/../a/target")
    (root / "b/c/top").symlink_to(root)
    values = {path: value for path, _, value, _ in pack(root, cache).entries}
    assert values["b/c/absolute"] == "../../a/target"
    assert values["b/c/winding"] == "../../a/target"
    assert values["b/c/top"] == "../.."
    manifest.decode(pack(root, cache).manifest)


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../secret", "x/../../secret", "/nowhere"])
def test_links_that_leave_are_refused_by_name(root: Path, target: str) -> None:
    (root / "x").mkdir()
    (root / "out").symlink_to(target)
    with pytest.raises(BundleError, match="symlink out leads out"):
        list_folder(str(root))
    write(root / ".foundationsignore", b"/out\n")
    assert list_folder(str(root)).links == []


def test_a_link_that_leaves_through_another_link(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d/up").symlink_to("..")
    (root / "out").symlink_to("d/up/../x")
    with pytest.raises(BundleError, match="symlink out leads out"):
        list_folder(str(root))


def test_special_files_are_refused_by_name(root: Path) -> None:
    os.mkfifo(str(root / "pipe"))
    with pytest.raises(BundleError, match="pipe is a named pipe"):
        list_folder(str(root))
    (root / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(str(root), os.O_RDONLY)
        try:  # a socket's address is short: reach it through the descriptor
            listener.bind(f"/proc/self/fd/{folder}/s")
        finally:
            os.close(folder)
        with pytest.raises(BundleError, match="s is a socket"):
            list_folder(str(root))


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing"):
        list_folder(str(tmp_path / "nothing"))


def test_unreadable_files_and_folders_are_named(root: Path, cache: Path) -> None:
    write(root / "secret").chmod(0)
    if os.access(str(root / "secret"), os.R_OK):
        pytest.skip("this user reads everything")
    with pytest.raises(BundleError, match="secret cannot be read"):
        pack(root, cache)
    (root / "secret").unlink()
    write(root / "closed/x")
    (root / "closed").chmod(0)
    try:
        with pytest.raises(BundleError, match="closed cannot be read"):
            pack(root, cache)
    finally:
        (root / "closed").chmod(0o755)


def test_a_file_deleted_after_listing_is_named(root: Path, cache: Path) -> None:
    write(root / "gone")
    listing = list_folder(str(root))
    (root / "gone").unlink()
    with pytest.raises(BundleError, match="gone cannot be read"):
        hash_listing(listing, str(cache))


def test_a_file_replaced_by_a_link_or_pipe_after_listing(root: Path, cache: Path) -> None:
    path = write(root / "a")
    listing = list_folder(str(root))
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="a cannot be read"):
        hash_listing(listing, str(cache))
    path.unlink()
    os.mkfifo(str(path))
    with pytest.raises(BundleError, match="a changed while"):
        hash_listing(listing, str(cache))


def test_a_file_that_keeps_changing_is_named(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root / "train.log", b"1" * 100)
    listing = list_folder(str(root))
    read = os.read

    def read_and_append(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        with open(str(path), "ab") as file:
            file.write(b"more")
        return data

    monkeypatch.setattr(hashing.os, "read", read_and_append)
    with pytest.raises(BundleError, match=r"train\.log changed while it was being read"):
        hash_listing(listing, str(cache))


def test_a_change_in_the_middle_is_read_again(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root / "a", b"old")
    listing = list_folder(str(root))
    read, todo = os.read, [b"new!"]

    def read_and_change_once(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        if todo:
            path.write_bytes(todo.pop())
        return data

    monkeypatch.setattr(hashing.os, "read", read_and_change_once)
    assert hash_listing(listing, str(cache)).entries == [
        ("a", "f", hashlib.sha256(b"new!").hexdigest(), 4)
    ]


def age(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hashing believe that everything written so far was written long ago."""
    monkeypatch.setattr(hashing.time, "time_ns", lambda: time.monotonic_ns() + (1 << 61))
    assert root.exists()


class Reads:
    """Counts the files that hashing opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: List[str] = []
        real = os.open

        def counted(path: str, *args: int) -> int:
            self.paths.append(os.path.basename(path))
            return real(path, *args)

        monkeypatch.setattr(hashing.os, "open", counted)

    def take(self) -> List[str]:
        taken, self.paths = sorted(self.paths), []
        return taken


def test_only_what_changed_is_read_again(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(root, monkeypatch)
    for name in "abc":
        write(root / name, name.encode())
    progress: List[Tuple[int, int]] = []
    first = hash_listing(
        list_folder(str(root)), str(cache), lambda done, total: progress.append((done, total))
    )
    assert progress == [(1, 3), (2, 3), (3, 3)]
    reads = Reads(monkeypatch)
    assert pack(root, cache).digest == first.digest
    assert reads.take() == []
    write(root / "b", b"B")
    os.utime(str(root / "b"), (LONG_AGO, LONG_AGO))  # ctime gives it away
    changed = pack(root, cache)
    assert reads.take() == ["b"]
    assert kinds(changed) == kinds(first)
    assert changed.digest != first.digest
    (root / "c").chmod(0o755)
    assert kinds(pack(root, cache))["c"] == "x"
    (root / "a").unlink()
    assert sorted(kinds(pack(root, cache))) == ["b", "c"]


def test_a_file_written_just_now_is_not_remembered(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second write within a tick of the clock may leave size and times as they were."""
    write(root / "a")
    pack(root, cache)
    reads = Reads(monkeypatch)
    pack(root, cache)
    assert reads.take() == ["a"]


def test_a_damaged_or_unwritable_cache_is_only_slow(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(root, monkeypatch)
    write(root / "a", b"content")
    first = pack(root, cache)
    (file,) = cache.iterdir()
    good = file.read_bytes()
    for damage in (b"", b"{", good[:-5], bytes(len(good)), good.replace(b"a", b"b")):
        file.write_bytes(damage)
        assert pack(root, cache).digest == first.digest
    assert list(cache.iterdir()) == [file]
    assert pack(root, write(root.parent / "not-a-folder")).digest == first.digest


def test_folders_have_caches_of_their_own(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(tmp_path, monkeypatch)
    for name in ("one", "two"):
        write(tmp_path / name / "a", name.encode())
    assert pack(tmp_path / "one", cache).digest != pack(tmp_path / "two", cache).digest
    assert len(list(cache.iterdir())) == 2


def test_sending_checks_that_the_content_is_still_the_same(tmp_path: Path) -> None:
    content = bytes(range(256)) * (3 << 12)
    path = write(tmp_path / "a", content)
    digest = hashlib.sha256(content).hexdigest()
    assert b"".join(read_verified(str(path), digest, len(content))) == content
    for changed in (content[:-1] + b"?", content + b"?", content[:-1], b""):
        path.write_bytes(changed)
        sent: List[bytes] = []
        with pytest.raises(BundleError, match="changed while it was being sent"):
            sent.extend(read_verified(str(path), digest, len(content)))
        assert len(b"".join(sent)) < len(content)
    path.unlink()
    os.mkfifo(str(path))
    with pytest.raises(BundleError, match="changed while"):
        list(read_verified(str(path), digest))
    path.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        list(read_verified(str(path), digest))


def test_sizes_for_people() -> None:
    assert [human_size(n) for n in (0, 999, 1000, 1234567, 999_950, 123_456_789, 10**13)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 MB",
        "1.0 MB",
        "123 MB",
        "10.0 TB",
    ]


def test_warnings_rise_with_the_size() -> None:
    largest = [("data/x.bin", 40_000_000), ("new\nline", 9_000_000)]
    assert size_warning(50_000_000, largest) is None
    texts = [size_warning(n * 1_000_000, largest) for n in (51, 101, 501)]
    assert len(set(texts)) == 3
    for text in texts:
        assert text is not None
        assert "data/x.bin (40.0 MB)" in text
        assert ".foundationsignore" in text
        assert "\n" not in text


def test_names_are_exported_and_loaded_late() -> None:
    for name in bundle.__all__:
        assert callable(getattr(bundle, name))
    with pytest.raises(AttributeError):
        bundle.nothing  # noqa: B018


def test_the_way_of_a_submission_imports_little() -> None:
    code = (
        "import sys, foundations.bundle.scan, foundations.blobs\n"
        "bad = {'typing', 'dataclasses', 'pathlib', 'subprocess', 'tempfile', 'hashlib', 'shutil',"
        " 'tarfile', 'inspect', 'logging', 'contextlib'}\n"
        "sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) else 0)"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    answer = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, stderr=subprocess.PIPE, check=False
    )
    assert answer.returncode == 0, answer.stderr
