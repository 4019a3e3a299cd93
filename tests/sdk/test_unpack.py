"""A bundle becomes the same folder again, inside its destination, and changes are found."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundations.blobs import BlobDir
from foundations.bundle.ignore import Rules
from foundations.bundle.scan import hash_listing, list_folder
from foundations.bundle.unpack import Snapshot, changed_files, materialize
from foundations.contract import manifest
from foundations.errors import BundleError, NotFound, UnsafePathError

Tree = Dict[bytes, Tuple[str, Any]]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tree(root: bytes) -> Tree:
    """Return every path below `root` with its kind and content."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            state = os.lstat(path)
            key = os.path.relpath(path, root)
            if stat.S_ISLNK(state.st_mode):
                found[key] = ("l", os.readlink(path))
            elif stat.S_ISDIR(state.st_mode):
                found[key] = ("d", None)
            else:
                with open(path, "rb") as file:
                    found[key] = ("x" if state.st_mode & 0o100 else "f", file.read())
    return found


@pytest.fixture
def blobs(tmp_path: Path) -> BlobDir:
    return BlobDir(str(tmp_path / "blobs"))


def entries_of(blobs: BlobDir, files: Dict[str, bytes]) -> List[Tuple[str, str, str, int]]:
    return [
        (path, "f", blobs.put_bytes(data, durable=False), len(data)) for path, data in files.items()
    ]


COUNT = iter(range(10**9))
NAMES = st.one_of(
    st.sampled_from(
        [b"a", b"b", b"a b", b"new\nline", b"q'\"", b"\xff\xfe", "é".encode(), b"-", b"*"]
    ),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: not {0, 47} & set(name) and name not in (b".", b"..")
    ),
).filter(lambda name: not name.endswith(b".pyc"))
LEAF = st.one_of(
    st.tuples(st.sampled_from(["f", "x"]), st.binary(max_size=50)),
    st.tuples(st.just("l"), NAMES),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAF, max_size=4),
    lambda inner: st.dictionaries(NAMES, st.one_of(LEAF, inner), max_size=4),
    max_leaves=12,
)


def build(root: bytes, content: Dict[bytes, Any]) -> None:
    os.mkdir(root)
    for name, value in content.items():
        path = os.path.join(root, name)
        if isinstance(value, dict):
            build(path, value)
        elif value[0] == "l":
            os.symlink(value[1], path)
        else:
            with open(path, "wb") as file:
                file.write(value[1])
            os.chmod(path, 0o755 if value[0] == "x" else 0o644)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TREES)
def test_a_packed_folder_is_the_same_when_unpacked(tmp_path: Path, content: Any) -> None:
    top = tmp_path / str(next(COUNT))
    top.mkdir()
    root, dest = os.fsencode(str(top / "in")), os.fsencode(str(top / "out"))
    build(root, content)
    found = hash_listing(list_folder(os.fsdecode(root)), str(top / "cache"))
    entries = manifest.decode(found.manifest)
    blobs = BlobDir(str(top / "blobs"))
    for name in manifest.blob_digests(entries):
        blobs.put_file(found.path_of(name), name, durable=False)
    snapshot = materialize(entries, blobs, os.fsdecode(dest))
    assert tree(dest) == tree(root)
    assert changed_files(os.fsdecode(dest), snapshot) == []
    again = hash_listing(list_folder(os.fsdecode(dest)), str(top / "cache"))
    assert again.digest == found.digest


HOSTILE_PATH = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "link", "\0", "\udc2e"]), min_size=1, max_size=4
).map("/".join)
HOSTILE = st.lists(
    st.one_of(
        st.tuples(HOSTILE_PATH, st.just("f"), st.just(digest(b"evil")), st.just(4)),
        st.tuples(HOSTILE_PATH, st.just("l"), HOSTILE_PATH, st.just(0)),
        st.tuples(HOSTILE_PATH, st.just("l"), st.sampled_from(["/", "..", "../.."]), st.just(0)),
        st.tuples(HOSTILE_PATH, st.just("d"), st.just(""), st.just(0)),
    ),
    max_size=5,
)


def _is_loop(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(HOSTILE)
def test_hostile_entries_never_leave(tmp_path: Path, entries: Any) -> None:
    """Not even where the sender of the entries was believed and they were not decoded."""
    top = tmp_path / str(next(COUNT))
    dest = top / "x" / "dest"
    dest.mkdir(parents=True)
    try:
        materialize(entries, lambda _: io.BytesIO(b"evil"), str(dest))
    except BundleError:
        pass
    assert os.listdir(str(top)) == ["x"]
    assert os.listdir(str(top / "x")) == ["dest"]
    for folder, folders, files in os.walk(str(dest)):
        for name in folders + files:
            full = os.path.join(folder, name)
            if _is_loop(full):
                continue  # leads nowhere; Python 3.8 resolves some loops to what they are not
            real = os.path.realpath(full)
            assert (real + "/").startswith(os.path.realpath(str(dest)) + "/")


def test_files_are_copies_with_their_modes_whatever_the_umask(
    blobs: BlobDir, tmp_path: Path
) -> None:
    blob = blobs.put_bytes(b"data")
    old = os.umask(0o077)
    try:
        materialize(
            [("s/a", "f", blob, 4), ("s/b", "x", blob, 4)], blobs, str(tmp_path / "new" / "dest")
        )
    finally:
        os.umask(old)
    folder = tmp_path / "new" / "dest" / "s"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "a", folder / "b")]
    assert modes == [0o755, 0o644, 0o755]
    (folder / "a").write_bytes(b"changed by the job")
    with blobs.open(blob) as file:
        assert file.read() == b"data"


def test_large_files_and_other_file_systems(blobs: BlobDir, tmp_path: Path) -> None:
    data = os.urandom(1 << 16) * 50
    entries = entries_of(blobs, {"big": data, "small": b"1", "none": b""})
    materialize(entries, blobs, str(tmp_path / "dest"))
    assert (tmp_path / "dest" / "big").read_bytes() == data
    materialize(entries, blobs.open, str(tmp_path / "two"))
    assert (tmp_path / "two" / "big").read_bytes() == data


def test_existing_links_are_not_followed_and_files_not_touched(
    blobs: BlobDir, tmp_path: Path
) -> None:
    outside, dest = tmp_path / "outside", tmp_path / "dest"
    outside.mkdir()
    dest.mkdir()
    (dest / "sub").symlink_to(outside)
    (dest / "file").symlink_to(outside / "made")
    (dest / "mine").write_bytes(b"mine")
    for path in ("sub/a", "file", "mine", "mine/a"):
        with pytest.raises(BundleError, match="something is there"):
            materialize(entries_of(blobs, {path: b"data"}), blobs, str(dest))
    with pytest.raises(BundleError, match="something is there"):
        materialize([("sub", "d", "", 0)], blobs, str(dest))
    with pytest.raises(BundleError, match="something is there"):
        materialize([("mine", "l", "x", 0)], blobs, str(dest))
    assert os.listdir(str(outside)) == []
    assert (dest / "mine").read_bytes() == b"mine"


def test_content_that_is_not_as_announced(blobs: BlobDir, tmp_path: Path) -> None:
    blob = blobs.put_bytes(b"data")
    with pytest.raises(BundleError, match="another size"):
        materialize([("a", "f", blob, 5)], blobs, str(tmp_path / "1"))
    with pytest.raises(BundleError, match="not the one announced"):
        materialize([("a", "f", blob, 4)], lambda _: io.BytesIO(b"evil"), str(tmp_path / "2"))
    with pytest.raises(BundleError):
        materialize([("a", "f", blob, 4)], lambda _: io.BytesIO(b"data+"), str(tmp_path / "3"))
    with pytest.raises(NotFound):
        materialize([("a", "f", digest(b"?"), 1)], blobs, str(tmp_path / "4"))
    with pytest.raises(UnsafePathError):
        materialize([("a", "f", blob, 4), ("a/b", "f", blob, 4)], blobs, str(tmp_path / "5"))


@pytest.fixture
def folding(tmp_path: Path) -> Iterator[Path]:
    """A file system that takes 'A' and 'a' for one name."""
    where = tmp_path / "folding"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "casefold,size=1m", "none", str(where)]
    try:
        mounted = subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no file system that folds case can be mounted")
    dest = where / "dest"
    dest.mkdir()
    try:
        if subprocess.run(["chattr", "+F", str(dest)], check=False).returncode != 0:
            pytest.skip("case folding cannot be switched on")
        yield dest
    finally:
        subprocess.run(["umount", str(where)], check=True)


def test_names_that_differ_in_case_only(blobs: BlobDir, folding: Path) -> None:
    for names in (["R/x", "r/x"], ["Data", "data"], ["S/a", "s/b"]):
        with pytest.raises(BundleError, match="differ only in case"):
            materialize(entries_of(blobs, dict.fromkeys(names, b"1")), blobs, str(folding))


def test_changes_are_found(blobs: BlobDir, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    files = {
        "same": b"1",
        "edited": b"1",
        "touched": b"1",
        "gone": b"1",
        "again": b"1",
        "d/x": b"1",
    }
    entries = [*entries_of(blobs, files), ("link", "l", "same", 0), ("old", "l", "same", 0)]
    materialize(entries, blobs, str(dest)).save(str(tmp_path / "snapshot"))
    snapshot = Snapshot.load(str(tmp_path / "snapshot"))
    assert changed_files(str(dest), snapshot) == []
    (dest / "edited").write_bytes(b"2")
    os.utime(str(dest / "touched"))
    (dest / "gone").unlink()
    (dest / "again").unlink()
    (dest / "again").write_bytes(b"1")
    (dest / "d" / "new").write_bytes(b"")
    (dest / "link").unlink()
    (dest / "link").symlink_to("edited")
    assert changed_files(str(dest), snapshot) == ["d/new", "edited", "link"]


def test_a_write_that_hides_its_time_is_found(blobs: BlobDir, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    snapshot = materialize(entries_of(blobs, {"a": b"1"}), blobs, str(dest))
    times = (dest / "a").stat()
    (dest / "a").write_bytes(b"2")
    os.utime(str(dest / "a"), ns=(times.st_atime_ns, times.st_mtime_ns))
    assert changed_files(str(dest), snapshot) == ["a"]


def test_what_a_job_leaves_and_nobody_wants(tmp_path: Path) -> None:
    (tmp_path / "dest" / "__pycache__").mkdir(parents=True)
    dest = tmp_path / "dest"
    (dest / "__pycache__" / "m.pyc").write_bytes(b"")
    (dest / "venv").mkdir()
    (dest / "venv" / "pyvenv.cfg").write_bytes(b"")
    (dest / "out").symlink_to("/etc/passwd")
    (dest / "in").symlink_to("result")
    os.mkfifo(str(dest / "pipe"))
    (dest / "result").write_bytes(b"1")
    (dest / "\udcff").write_bytes(b"1")
    skipped: List[str] = []
    found = changed_files(str(dest), Snapshot(), lambda path, _: skipped.append(path))
    assert found == ["in", "result", "\udcff"]
    assert sorted(skipped) == ["out", "pipe"]
    assert changed_files(str(dest), Snapshot(), rules=Rules("result\n")) == ["in", "\udcff"]


def test_a_snapshot_that_cannot_be_read(tmp_path: Path) -> None:
    for content in ("", "[]", "{}", '{"files": 3}', '{"files": {"a": 3}}'):
        (tmp_path / "snapshot").write_text(content)
        with pytest.raises(BundleError, match="snapshot"):
            Snapshot.load(str(tmp_path / "snapshot"))
    with pytest.raises(BundleError, match="missing"):
        Snapshot.load(str(tmp_path / "missing"))
