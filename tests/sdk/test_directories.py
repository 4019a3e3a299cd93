"""create_syncable_directory and set_tensorboard_logdir, as far as the program's own side goes."""

from __future__ import annotations

import json
import os
import socket

import pytest

import foundations
from foundations.artifacts.syncable_directory import SyncableDirectory
from foundations.errors import Unreachable


@pytest.fixture(autouse=True)
def no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("FOUNDATIONS_HOME", str(tmp_path / "home"))


def uploaded(job):
    return {
        event["path"]: (job.artifacts_dir / event["staged"]).read_text()
        for event in job.events("file")
    }


def test_what_is_new_or_changed_is_uploaded(job, capsys):
    directory = foundations.create_syncable_directory("c", "out")
    assert str(directory) == os.fspath(directory) == str(job.cwd / "out")
    out = job.cwd / "out"
    (out / "deep").mkdir()
    (out / "deep" / "a").write_text("one")
    (out / "b").write_text("b")
    (out / "link").symlink_to("b")
    (out / "nowhere").symlink_to("absent")
    os.mkfifo(str(out / "pipe"))
    directory.upload()
    assert uploaded(job) == {"deep/a": "one", "b": "b", "link": "b"}
    (event, *_) = [found for found in job.events("file") if found["path"] == "deep/a"]
    assert event["directory"] == "c"
    assert (event["size"], event["mtime_ns"]) == (3, os.stat(str(out / "deep" / "a")).st_mtime_ns)
    directory.upload()
    assert len(job.events("file")) == 3
    (out / "deep" / "a").write_text("two")
    (out / "b").unlink()
    directory.upload()
    assert uploaded(job)["deep/a"] == "two"
    assert capsys.readouterr().err == ""


def test_a_server_that_does_not_answer_is_remarked_on(job, capsys):
    job.journal_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as nobody_listens:
        nobody_listens.bind(str(job.journal_dir / "api.sock"))
    foundations.create_syncable_directory("c", "out")
    assert "What was uploaded to `c` before is not fetched: " in capsys.readouterr().err


def test_without_a_folder_a_temporary_one_is_made(job, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = foundations.create_syncable_directory("c")
    assert os.path.dirname(str(directory)) == str(tmp_path)
    assert os.listdir(str(directory)) == []


def test_outside_of_a_job_nothing_is_uploaded(outside, capsys):
    directory = foundations.create_syncable_directory("c", outside / "out")
    (outside / "out" / "a").write_text("a")
    directory.upload()
    directory.download()
    assert capsys.readouterr().err == (
        "Foundations WARNING: Cannot upload the directory `c` outside of job.\n"
    )


def test_another_jobs_directory_needs_a_server(job):
    with pytest.raises(Unreachable, match="No Atlas server is running"):
        foundations.create_syncable_directory("c", "out", source_job_id="another")


@pytest.mark.parametrize("key", ["", None, 3])
def test_a_directory_is_called_by_a_text(job, key):
    with pytest.raises(ValueError, match="Invalid key"):
        foundations.create_syncable_directory(key)


def test_the_class_as_older_versions_make_it(job):
    directory = SyncableDirectory("c", "out", "a1b2", None, auto_download=False)
    (job.cwd / "out" / "a").write_text("a")
    directory.download()
    directory.upload()
    assert uploaded(job) == {"a": "a"}


def test_the_folder_of_tensorboard(job):
    foundations.set_tensorboard_logdir("logs")
    foundations.set_tensorboard_logdir(job.cwd / "more")
    assert (job.cwd / "logs").is_dir()
    lines = (job.journal_dir / "logdirs").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [
        str(job.cwd / "logs"), str(job.cwd / "more"),
    ]  # fmt: skip
    assert job.events("tag") == [{"key": "tf", "value": "tf"}] * 2


def test_the_folder_of_tensorboard_outside_of_a_job(outside, capsys):
    foundations.set_tensorboard_logdir("logs")
    assert capsys.readouterr().err == "Foundations WARNING: Script not run with Foundations.\n"
    assert list(outside.iterdir()) == []
