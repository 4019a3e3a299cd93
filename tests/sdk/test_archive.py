"""Tar streams hold what they were given, and a hostile one leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundations.bundle.archive import extract_tar, write_tar
from foundations.errors import BundleError, UnsafePathError


def opener(data: bytes) -> Callable[[], io.BytesIO]:
    return lambda: io.BytesIO(data)


MEMBERS = [
    ("a b/new\nline", "f", 3, opener(b"abc")),
    ("run.sh", "x", 2, opener(b"#!")),
    ("\udcff/é", "f", 0, opener(b"")),
    ("n" * 200 + "/" + "m" * 200, "f", 1, opener(b"1")),
    ("link", "l", "a b/new\nline", None),
    ("up/link", "l", "../run.sh", None),
    ("empty", "d", "", None),
]


def tar_of(*infos: Tuple[str, bytes, Any], content: bytes = b"evil") -> io.BytesIO:
    """Return a tar of members given by name, type and link target, as no good server makes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, target in infos:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target or ""
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


@pytest.mark.parametrize("packed", [True, False])
def test_what_is_written_is_extracted(tmp_path: Path, packed: bool) -> None:
    out = io.BytesIO()
    write_tar(out, MEMBERS, "job", gzip=packed, mtime=1_500_000_000)
    assert out.getvalue().startswith(b"\x1f\x8b") == packed
    out.seek(0)
    (tmp_path / "other").mkdir()
    assert extract_tar(out, str(tmp_path)) == ["job"]
    job = tmp_path / "job"
    assert (job / "a b" / "new\nline").read_bytes() == b"abc"
    assert (job / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (job / "\udcff" / "é").stat().st_mode & 0o777 == 0o644
    assert (job / ("n" * 200) / ("m" * 200)).read_bytes() == b"1"
    assert os.readlink(str(job / "link")) == "a b/new\nline"
    assert (job / "up" / "link").read_bytes() == b"#!"
    assert os.listdir(str(job / "empty")) == []
    assert sorted(os.listdir(str(tmp_path))) == ["job", "other"]


def test_the_same_members_give_the_same_bytes() -> None:
    streams = []
    for _ in range(2):
        out = io.BytesIO()
        write_tar(out, MEMBERS, "job")
        streams.append(out.getvalue())
    assert streams[0] == streams[1]


def test_ordinary_tar_can_read_it() -> None:
    out = io.BytesIO()
    write_tar(out, MEMBERS, "job")
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        assert tar.getmember("job/run.sh").mode == 0o755


@pytest.mark.parametrize("data", [b"1", b""])
def test_a_file_shorter_than_announced(data: bytes) -> None:
    with pytest.raises(BundleError, match="shorter"):
        write_tar(io.BytesIO(), [("a", "f", 2, opener(data))], "job", gzip=False)


def test_a_reader_that_goes_away_is_not_a_broken_file() -> None:
    class Gone(io.RawIOBase):
        def write(self, data: Any) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        write_tar(Gone(), [("a", "f", 1 << 20, opener(bytes(1 << 20)))], "", gzip=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b"])
def test_no_bad_path_is_written(path: str) -> None:
    with pytest.raises(UnsafePathError):
        write_tar(io.BytesIO(), [(path, "f", 1, opener(b"1"))], "job", gzip=False)


FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    "infos",
    [
        [("../evil", FILE, None)],
        [("/tmp/evil", FILE, None)],
        [("a/../../evil", FILE, None)],
        [("../evil", FOLDER, None)],
        [("a", LINK, "/etc")],
        [("a", LINK, "..")],
        [("a/b", LINK, "../../x")],
        [("a", LINK, "b/../../x")],
        [("a", LINK, "b"), ("a/evil", FILE, None)],
        [("a/evil", FILE, None), ("a", LINK, "b")],
        [("a", FILE, None), ("a/evil", FILE, None)],
        [("a", FILE, None), ("a", FILE, None)],
        [("a", FILE, None), ("a", FOLDER, None)],
        [("a", LINK, "b"), ("a", LINK, "c")],
        [("a", LINK, "b"), ("a/c", FOLDER, None)],
        [("a", FOLDER, None), ("a", FOLDER, None)],
        [("a", FILE, None), ("b", HARD, "a")],
        [("b", HARD, "/etc/passwd")],
        [("a", tarfile.FIFOTYPE, None)],
        [("a", tarfile.CHRTYPE, None)],
        [("a", tarfile.BLKTYPE, None)],
        [("a", tarfile.GNUTYPE_SPARSE, None)],
    ],
)
def test_hostile_archives_leave_nothing(tmp_path: Path, infos: List[Any]) -> None:
    dest = tmp_path / "dest"
    with pytest.raises(BundleError):
        extract_tar(tar_of(*infos), str(dest))
    assert os.listdir(str(dest)) == []
    assert os.listdir(str(tmp_path)) == ["dest"]


def test_existing_names_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "job").symlink_to("/nowhere")
    with pytest.raises(BundleError, match="exists"):
        extract_tar(tar_of(("job/a", FILE, None), ("b", FILE, None)), str(tmp_path))
    assert os.listdir(str(tmp_path)) == ["job"]


def test_more_than_announced(tmp_path: Path) -> None:
    stream = tar_of(("a", FILE, None), ("b", FILE, None))
    with pytest.raises(BundleError, match="more than"):
        extract_tar(stream, str(tmp_path), max_bytes=7)
    stream.seek(0)
    assert extract_tar(stream, str(tmp_path), max_bytes=8) == ["a", "b"]


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.booleans(), st.floats(0, 1), st.none() | st.binary(min_size=1, max_size=4))
def test_damaged_streams_leave_nothing_or_all(
    tmp_path: Path, packed: bool, where: float, damage: Any
) -> None:
    out = io.BytesIO()
    write_tar(out, MEMBERS, "job", gzip=packed)
    data = out.getvalue()
    at = int(where * (len(data) - 1))
    data = data[:at] if damage is None else data[:at] + damage + data[at + len(damage) :]
    dest = tmp_path / str(len(os.listdir(str(tmp_path))))
    try:
        names = extract_tar(io.BytesIO(data), str(dest))
    except BundleError:
        names = []
    assert sorted(os.listdir(str(dest))) == names


def test_an_empty_stream_is_damaged(tmp_path: Path) -> None:
    for data in (b"", b"<html>", gzip.compress(b"")):
        with pytest.raises(BundleError, match="damaged"):
            extract_tar(io.BytesIO(data), str(tmp_path))


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + b"\xff" * 600,
        b"\x1f\x8b\x08\x08" + bytes(6) + b"a name without end",
    ],
    ids=["cut", "extra field", "name"],
)
def test_a_damaged_gzip_header_is_a_damaged_archive(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match="damaged"):
        extract_tar(io.BytesIO(data), str(tmp_path))
    assert os.listdir(str(tmp_path)) == []
