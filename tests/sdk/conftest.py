"""A process inside of a job, and one outside."""

from __future__ import annotations

import pytest

from foundations import tracking
from foundations.contract import environment
from foundations.journal.reader import JournalReader


class Job:
    """The folders of an attempt that the test's process believes to run in."""

    def __init__(self, attempt_dir, cwd):
        self.attempt_dir = attempt_dir
        self.code_dir = attempt_dir / "job"
        self.artifacts_dir = attempt_dir / "artifacts"
        self.journal_dir = attempt_dir / "journal"
        self.cwd = cwd

    def events(self, kind=None):
        """The recorded events without number and time; those of one kind without it, too."""
        reader = JournalReader(str(self.journal_dir))
        hidden = {"n", "t"} if kind is None else {"n", "t", "k"}
        found = [
            {name: value for name, value in event.items() if name not in hidden}
            for batch in reader.read(10**9, finish=True)
            for event in batch.events
            if kind in (None, event["k"])
        ]
        assert reader.broken == []
        return found

    def params(self):
        """The job's parameters as they come out of all events."""
        merged = {}
        for event in self.events("params"):
            merged.update(event["values"])
        return merged


@pytest.fixture
def job(tmp_path, monkeypatch):
    attempt_dir = tmp_path / "work" / "a1b2" / "1"
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    (attempt_dir / "job").mkdir(parents=True)
    monkeypatch.setenv(environment.ATTEMPT_DIR, str(attempt_dir))
    monkeypatch.setenv(environment.JOB_ID, "a1b2")
    monkeypatch.setenv(environment.PROJECT_NAME, "vision")
    monkeypatch.setenv(environment.USER, "ada")
    monkeypatch.chdir(cwd)
    return Job(attempt_dir, cwd)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """The current directory of a process that has not been warned yet."""
    for name in (environment.ATTEMPT_DIR, environment.JOB_ID):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "_given_warnings", set())
    return tmp_path
