"""Programs run by hand in tests, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.execution.folder import JobFolder
from foundations.journal.reader import JournalReader

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
_PATIENCE = 30.0


class Place:
    """A project's folder `directory`, and the FOUNDATIONS_HOME of the programs that run in it."""

    def __init__(self, root):
        self.root = root
        self.directory = root / "project"
        self.home = root / "home"
        self.directory.mkdir()

    def write(self, name, text):
        """Write a file of the project."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def environment(self, **variables):
        """What programs find around them: of ours only what is given."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("FOUNDATIONS")
        }
        for name in ("PROJECT_NAME", "PYTHONUNBUFFERED"):
            inherited.pop(name, None)
        own = {"FOUNDATIONS_HOME": str(self.home), "PYTHONPATH": SOURCE, "LC_ALL": "C.UTF-8"}
        return {**inherited, **own, **variables}

    def start(self, *arguments, cwd=None, **variables):
        """Start Python with these arguments."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=str(cwd or self.directory),
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, text, *arguments, **variables):
        """Run a program, main.py, to its end."""
        self.write("main.py", text)
        return self.python("main.py", *arguments, **variables)

    def python(self, *arguments, **options):
        """Run Python to its end."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(
            arguments, process.returncode, out.decode(), err.decode()
        )

    def jobs(self):
        """The folders of all jobs, in the order in which they began."""
        place = self.home / "local"
        names = os.listdir(str(place)) if place.exists() else []
        found = [
            Left(str(place / name))
            for name in names
            if not name.startswith(".") and (place / name).is_dir()
        ]
        return sorted(found, key=lambda left: left.facts()["started_at"])

    def job(self):
        """The folder of the one job that there is."""
        (only,) = self.jobs()
        return only

    def until(self, condition):
        """Return the first true answer of `condition`."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                found = condition()
            except (OSError, ValueError):
                found = None
            if found:
                return found
            assert time.monotonic() < deadline
            time.sleep(0.01)


class Left(JobFolder):
    """What a job has left."""

    def end(self):
        """What the one process of the job has said of its end."""
        (member,) = self.members()
        return member.end

    def log(self):
        """What has been copied of what it printed."""
        path = Path(self.log_path)
        return path.read_bytes().decode() if path.exists() else ""

    def events(self, kind=None):
        """All recorded events, or those of a kind."""
        reader = JournalReader(self.journal_dir)
        found = [event for batch in reader.read(10**9, finish=True) for event in batch.events]
        assert reader.broken == []
        return [event for event in found if kind in (None, event["k"])]

    def code(self, home):
        """The kept code: path -> content."""
        blobs = BlobDir(str(Path(home) / "blobs"))

        def content(digest):
            with blobs.open(digest) as file:
                return file.read()

        entries = manifest.decode(content(self.spec()["bundle"]))
        return {
            entry.path: content(entry.value) if entry.kind in "fx" else entry.value
            for entry in entries
        }


def shown(text):
    """The JSON that a program printed in its last line."""
    return json.loads(text.strip().splitlines()[-1])
