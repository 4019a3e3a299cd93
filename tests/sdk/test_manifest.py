"""A manifest is one sequence of bytes per folder, and a hostile one is refused."""

from __future__ import annotations

import json
import posixpath
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundations.contract import manifest
from foundations.contract.manifest import Entry
from foundations.errors import BundleError, UnsafePathError

A = "a" * 64
FILES = [Entry("a b/c", "f", A, 3), Entry("d", "d", "", 0), Entry("z", "x", "0" * 64, 5)]


def raw(entries: List[Any], version: Any = 1) -> bytes:
    return json.dumps({"version": version, "entries": entries}, separators=(",", ":")).encode()


def test_what_is_encoded_is_decoded() -> None:
    entries = [*FILES, Entry("a b/\udcff\n'\"é", "l", "../d", 0)]
    data = manifest.encode(entries)
    assert manifest.decode(data) == sorted(entries)
    assert data == manifest.encode(reversed(entries))
    assert manifest.blob_digests(entries) == {A, "0" * 64}
    assert manifest.total_size(entries) == 8


def test_the_form_is_fixed_for_ever() -> None:
    data = manifest.encode([Entry("ä", "f", A, 1)])
    assert data == b'{"version":1,"entries":[["\\u00e4","f","' + A.encode() + b'",1]]}'
    assert manifest.digest(b"abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert manifest.digest(bytes(3_000_000)) == (
        __import__("hashlib").sha256(bytes(3_000_000)).hexdigest()
    )


@pytest.mark.parametrize(
    "path",
    ["/a", "..", "../a", "a/../b", ".", "a/.", "./a", "a//b", "a/", "/", "a\0b", "a/\0"]
    # Lone surrogates, and escaped bytes that are UTF-8 after all: a second name for "é".
    + ["\ud800", "\udc41", "\udcc3\udca9"],
)
def test_paths_that_leave_or_mislead(path: str) -> None:
    with pytest.raises(UnsafePathError):
        manifest.decode(raw([[path, "f", A, 1]]))


@pytest.mark.parametrize(
    "row",
    [
        ["", "f", A, 1],
        [7, "f", A, 1],
        [None, "f", A, 1],
        ["n" * 256, "f", A, 1],
        ["é" * 128, "f", A, 1],
        ["/".join("d" * 300), "f", A, 1],
        ["/".join(["d" * 250] * 20), "f", A, 1],
        ["a", "f", A.upper(), 1],
        ["a", "f", "a" * 63, 1],
        ["a", "f", "../../etc/passwd", 1],
        ["a", "f", None, 1],
        ["a", "f", A, -1],
        ["a", "f", A, 1.0],
        ["a", "f", A, True],
        ["a", "f", A, "1"],
        ["a", "f", A, 1 << 60],
        ["a", "d", A, 0],
        ["a", "d", "", 1],
        ["a", "l", "b", 1],
        ["a", "l", "", 0],
        ["a", "l", None, 0],
        ["a", "h", "b", 0],
        ["a", None, "b", 0],
        ["a", ["f"], A, 1],
        ["a", "f", A],
        ["a", "f", A, 1, 1],
        {"path": "a"},
        "afA1",
    ],
)
def test_entries_that_nothing_writes(row: Any) -> None:
    with pytest.raises(BundleError):
        manifest.decode(raw([row]))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "/etc/passwd"),
        ("a", ".."),
        ("a", "../x"),
        ("a/b", "../.."),
        ("a/b", "./../../x"),
        ("a/b", "c/../x"),
        ("a", "x\0"),
    ],
)
def test_symlinks_that_may_leave(path: str, target: str) -> None:
    with pytest.raises(UnsafePathError):
        manifest.decode(raw([[path, "l", target, 0]]))


def test_symlinks_that_stay() -> None:
    entries = [Entry("a", "l", ".", 0), Entry("b/c", "l", "../d/e", 0), Entry("e", "l", "e", 0)]
    assert manifest.decode(manifest.encode(entries)) == entries


@pytest.mark.parametrize("kind", [["f", A, 1], ["l", "x", 0], ["d", "", 0]])
def test_nothing_lies_below_an_entry(kind: List[Any]) -> None:
    with pytest.raises(UnsafePathError):
        manifest.decode(raw([["a", *kind], ["a/b/c", "f", A, 1]]))
    with pytest.raises(UnsafePathError):
        manifest.decode(raw([["a", *kind], ["a-b", "f", A, 1], ["a/b", "f", A, 1]]))


def test_duplicates_and_disorder() -> None:
    for paths in (["a", "a"], ["b", "a"]):
        with pytest.raises(UnsafePathError):
            manifest.decode(raw([[path, "f", A, 1] for path in paths]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"version":1}',
        raw([], 2),
        raw([], True),
    ]
    + [raw([]) + b" ", b'{"entries":[],"version":1}', b'{"version":1,"entries":{}}']
    + [b'{"version":1,"entries":[],"entries":[]}', b'{"version":1,"entries":[' + b"9" * 9000],
)
def test_other_bytes(data: bytes) -> None:
    with pytest.raises(BundleError):
        manifest.decode(data)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = manifest.encode(FILES)
    monkeypatch.setattr(manifest, "MAX_ENTRIES", 2)
    with pytest.raises(BundleError, match="more than 2 files"):
        manifest.decode(data)
    monkeypatch.setattr(manifest, "MAX_MANIFEST_BYTES", 20)
    with pytest.raises(BundleError, match="larger"):
        manifest.decode(data)


NAME = st.sampled_from(["a", "b", "..", ".", "", "\0", "c"])
PATH = st.lists(NAME, min_size=1, max_size=5).map("/".join)
ROW = st.one_of(
    st.tuples(PATH, st.just("f"), st.just(A), st.just(1)),
    st.tuples(PATH, st.just("l"), PATH, st.just(0)),
    st.tuples(PATH, st.just("d"), st.just(""), st.just(0)),
)


@given(st.lists(ROW, max_size=6))
def test_no_path_of_a_manifest_leaves_its_folder(rows: List[Any]) -> None:
    try:
        entries = manifest.decode(manifest.encode(rows))
    except BundleError:
        return
    links = {entry.path: entry.value for entry in entries if entry.kind == "l"}
    for entry in entries:
        assert not any(entry.path.startswith(link + "/") for link in links)
        assert posixpath.normpath("/top/" + entry.path) == "/top/" + entry.path


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8")))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        manifest.decode(data)
