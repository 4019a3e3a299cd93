"""What a job puts in the way of whoever reads its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from atlas_runner.job_files import files_below, held
from foundations.disk import remove_tree
from foundations.errors import BundleError


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder that the job must not reach."""
    place = tmp_path / "machine"
    place.mkdir()
    (place / "file").write_text("secret")
    return place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "job"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("own")
    return root


def read(place: str) -> str:
    return Path(place).read_text()


def test_a_file_is_named(root: Path) -> None:
    with held(root, "a/b/file") as place:
        assert read(place) == "own"


def test_no_link_is_followed_on_the_way(root: Path, secret: Path) -> None:
    (root / "a/link").symlink_to(secret)
    with pytest.raises(BundleError, match="leads through link"), held(root, "a/link/file"):
        pytest.fail("it was followed")


def test_what_is_exchanged_meanwhile_changes_nothing(root: Path, secret: Path) -> None:
    with held(root, "a/b/file") as place:
        (root / "a/b").rename(root / "a/away")
        (root / "a/b").symlink_to(secret)
        assert read(place) == "own"
        os.unlink(place)
    assert (secret / "file").exists()


def test_errors_name_the_file_as_the_job_does(root: Path) -> None:
    with pytest.raises(BundleError, match=r"^a/b/file is bad\.$"), held(root, "a/b/file") as place:
        raise BundleError(f"{place} is bad.")


def test_a_walk_does_not_leave_the_folder(root: Path, secret: Path) -> None:
    (root / "a/link").symlink_to(secret)
    (root / "a/other").symlink_to(secret / "file")
    found = []
    for path, place, _ in files_below(str(root)):
        found.append((path, "" if os.path.islink(place) else read(place)))
    assert found == [("a/link", ""), ("a/other", ""), ("a/b/file", "own")]


def test_a_walk_goes_on_in_a_folder_that_was_exchanged(root: Path, secret: Path) -> None:
    (root / "a/b/second").write_text("own")
    found = []
    for path, place, _ in files_below(str(root)):
        if path.endswith("file"):
            (root / "a/b").rename(root / "away")
            (root / "a/b").symlink_to(secret)
        found.append((path, read(place)))
    assert found == [("a/b/file", "own"), ("a/b/second", "own")]


def test_a_walk_into_the_depth_ends(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    try:
        assert list(files_below(str(tmp_path))) == []
    finally:
        remove_tree(str(tmp_path / "d"))  # pytest cannot
    assert not (tmp_path / "d").exists()
