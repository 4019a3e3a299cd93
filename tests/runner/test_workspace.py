"""The folder of one attempt: laid out once, locked, and read back."""

from __future__ import annotations

import io
import json
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_runner.errors import StartFailed
from atlas_runner.workspace import AlreadyTaken, Workspace
from foundations.blobs import BlobDir
from foundations.contract import manifest

JOB = "0a000000-0000-4000-8000-000000000001"
Files = dict[str, tuple[str, bytes]]


def stored(blobs: BlobDir, files: Files) -> str:
    """Store a bundle of files (path -> kind and content, or a link's target)."""
    entries = [
        (path, kind, os.fsdecode(data), 0)
        if kind == manifest.SYMLINK
        else (path, kind, blobs.put_bytes(data), len(data))
        for path, (kind, data) in files.items()
    ]
    return blobs.put_bytes(manifest.encode(entries))


def read_back(blobs: BlobDir, digest: str | None) -> Files:
    if digest is None:
        return {}
    with blobs.open(digest) as file:
        entries = manifest.decode(file.read())
    found: Files = {}
    for entry in entries:
        if entry.kind == manifest.SYMLINK:
            found[entry.path] = (entry.kind, os.fsencode(entry.value))
        else:
            with blobs.open(entry.value) as file:
                found[entry.path] = (entry.kind, file.read())
            assert len(found[entry.path][1]) == entry.size
    return found


class Place:
    """A home and its content store."""

    def __init__(self, root: Path) -> None:
        self.home = str(root)
        self.blobs = BlobDir(str(root / "blobs"))
        self.log = io.BytesIO()

    def create(self, number: int = 1) -> Workspace:
        return Workspace.create(self.home, JOB, number)

    def filled(self, files: Files, params: dict[str, object] | None = None) -> Workspace:
        workspace = self.create()
        workspace.fill(self.blobs, stored(self.blobs, files), params)
        return workspace

    def collected(self, workspace: Workspace) -> Files:
        return read_back(self.blobs, workspace.collect(self.blobs, self.log.write))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


CODE: Files = {
    "main.py": ("f", b"print(1)\n"),
    "run.sh": ("x", b"#!/bin/sh\n"),
    "data/a b\n.csv": ("f", b""),
    "data/link": ("l", b"../main.py"),
}


# -- whose it is


def test_attempt_is_taken_once(place):
    workspace = place.create()
    with pytest.raises(AlreadyTaken):
        place.create()
    workspace.remove()
    # Another attempt of the job is another folder.
    place.create(2)


def test_only_one_of_many_takes_it(place):
    taken, begin = [], threading.Barrier(8)

    def take() -> None:
        begin.wait()
        try:
            taken.append(place.create())
        except AlreadyTaken:
            return

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_reopening_waits_for_the_living_runner(place):
    workspace = place.filled(CODE)
    found: list[Workspace | None] = []
    waiting = threading.Thread(
        target=lambda: found.append(Workspace.reopen(place.home, JOB, 1)), daemon=True
    )
    waiting.start()
    waiting.join(0.05)
    assert found == []
    os.close(workspace.lock_fd)  # as the kernel does when the runner dies
    waiting.join()
    assert found[0] is not None
    assert (found[0].job_dir / "main.py").read_bytes() == b"print(1)\n"
    with pytest.raises(AlreadyTaken):
        place.create()


def test_reopening_what_was_tidied_up_meanwhile_finds_nothing(place):
    workspace = place.create()
    found: list[Workspace | None] = []
    waiting = threading.Thread(
        target=lambda: found.append(Workspace.reopen(place.home, JOB, 1)), daemon=True
    )
    waiting.start()
    waiting.join(0.05)
    workspace.remove()
    os.close(workspace.lock_fd)
    waiting.join()
    assert found == [None]


def test_nothing_to_reopen(place):
    assert Workspace.reopen(place.home, JOB, 1) is None


def test_folder_is_for_its_owner_alone(place):
    assert place.create().root.stat().st_mode & 0o077 == 0


def test_removing_leaves_other_attempts(place):
    first, second = place.create(1), place.create(2)
    first.remove()
    assert not first.root.exists()
    assert second.root.exists()
    second.remove()
    assert not second.root.parent.exists()


# -- laying out


def test_code_and_parameters_are_laid_out(place):
    workspace = place.filled(CODE, {"lr": 0.1, "name": "é"})
    job = workspace.job_dir
    assert (job / "main.py").read_bytes() == b"print(1)\n"
    assert os.access(job / "run.sh", os.X_OK)
    assert not os.access(job / "main.py", os.X_OK)
    assert (job / "data" / "link").readlink() == Path("../main.py")
    parameters = json.loads((job / "foundations_job_parameters.json").read_text())
    assert parameters == {"lr": 0.1, "name": "é"}


def test_parameters_never_go_through_a_link_of_the_code(place):
    code = {**CODE, "foundations_job_parameters.json": ("l", b"main.py")}
    workspace = place.filled(code, {"lr": 0.1})
    assert (workspace.job_dir / "main.py").read_bytes() == b"print(1)\n"
    assert not (workspace.job_dir / "foundations_job_parameters.json").is_symlink()


def test_without_parameters_those_of_the_folder_stay(place):
    code = {**CODE, "foundations_job_parameters.json": ("f", b"{}")}
    workspace = place.filled(code)
    assert (workspace.job_dir / "foundations_job_parameters.json").read_bytes() == b"{}"


@pytest.mark.parametrize("missing", ["a file", "the manifest"])
def test_missing_content_is_a_failed_start(place, missing):
    bundle = stored(place.blobs, CODE)
    lost = manifest.digest(b"print(1)\n") if missing == "a file" else bundle
    place.blobs.delete(lost)
    with pytest.raises(StartFailed, match="could not be laid out"):
        place.create().fill(place.blobs, bundle, None)


def test_changing_the_copy_leaves_the_store_alone(place):
    workspace = place.filled(CODE)
    with (workspace.job_dir / "main.py").open("ab") as file:
        file.write(b"# changed\n")
    with place.blobs.open(manifest.digest(b"print(1)\n")) as file:
        assert file.read() == b"print(1)\n"


# -- collecting


def test_untouched_code_is_no_result(place):
    assert place.collected(place.filled(CODE)) == {}


def test_attempt_that_was_never_laid_out_has_no_results(place):
    workspace = place.create()
    (workspace.job_dir / "stray").write_text("x")
    assert place.collected(workspace) == {}


def test_what_cannot_be_kept_is_named(place):
    workspace = place.filled(CODE)
    os.symlink("/etc/passwd", workspace.job_dir / "out")
    os.mkfifo(workspace.job_dir / "pipe")
    (workspace.job_dir / "kept").write_bytes(b"x")
    assert place.collected(workspace) == {"kept": ("f", b"x")}
    said = place.log.getvalue().decode()
    assert "'out' is not kept" in said
    assert "'pipe' is not kept" in said


def test_files_that_no_manifest_can_name_are_left_out(place):
    workspace = place.filled(CODE)
    deep = workspace.job_dir
    for _ in range(300):
        deep /= "n"
        deep.mkdir()
    (deep / "file").write_bytes(b"x")
    (workspace.job_dir / "kept").write_bytes(b"x")
    assert place.collected(workspace) == {"kept": ("f", b"x")}
    assert "nested too deeply" in place.log.getvalue().decode()


# Few names, so that changes meet files that are there.
NAMES = st.sampled_from(["a", "b c", "d\n", "é", "x.py"])
PATHS = st.builds(lambda folder, name: folder + name, st.sampled_from(["", "f/", "f/g/"]), NAMES)
KINDS = st.sampled_from(["f", "x"])
TREES = st.dictionaries(PATHS, st.tuples(KINDS, st.binary(max_size=4)), max_size=6)
CHANGES = st.lists(
    st.tuples(PATHS, st.none() | st.tuples(KINDS | st.just("l"), st.binary(max_size=4))),
    max_size=8,
)


def change(root: Path, path: str, to: tuple[str, bytes] | None) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if to is None or place.is_symlink() or to[0] == "l":
        place.unlink(missing_ok=True)
    if to is not None and to[0] == "l":
        place.symlink_to("elsewhere")
    elif to is not None:
        place.write_bytes(to[1])
        place.chmod(0o755 if to[0] == "x" else 0o644)


@given(TREES, CHANGES)
@settings(max_examples=60, deadline=None)
def test_results_are_what_differs_from_the_code(code, changes):
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        workspace = place.filled(code)
        after = dict(code)
        for path, to in changes:
            change(workspace.job_dir, path, to)
            if to is None:
                after.pop(path, None)
            else:
                after[path] = ("l", b"elsewhere") if to[0] == "l" else to
        expected = {path: file for path, file in after.items() if code.get(path) != file}
        assert place.collected(workspace) == expected
        os.close(workspace.lock_fd)


@given(TREES)
@settings(max_examples=40, deadline=None)
def test_code_arrives_as_it_was_sent(code):
    with tempfile.TemporaryDirectory() as folder:
        workspace = Place(Path(folder)).filled(code)
        found = {}
        for file in workspace.job_dir.rglob("*"):
            if file.is_file():
                kind = "x" if os.access(file, os.X_OK) and file.stat().st_mode & 0o100 else "f"
                found[str(file.relative_to(workspace.job_dir))] = (kind, file.read_bytes())
        assert found == code
        os.close(workspace.lock_fd)
