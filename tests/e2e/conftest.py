"""A real server in a home of its own, and the command line against it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


class Atlas:
    """One FOUNDATIONS_HOME with a server of 8 CPUs, and what a user would type."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.projects = home.parent / "projects"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that commands run in."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FOUNDATIONS_", "ATLAS_", "CUDA_"))
            and name not in ("NO_COLOR", "COLUMNS", "DISABLE_LOG_STREAMING")
        }
        return {**kept, "FOUNDATIONS_HOME": str(self.home), **more}

    def server(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `atlas-server`."""
        return subprocess.run(
            [sys.executable, "-m", "atlas_server.main", *words], env=self.environment(),
            capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        """Start the server."""
        self.home.mkdir(parents=True, exist_ok=True)
        done = self.server("start", "--port", "0", "--gui-port", "0", "--num-cpus", "8")
        assert done.returncode == 0, done.stdout + done.stderr

    def __call__(
        self,
        *words: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `foundations`."""
        return subprocess.run(
            [sys.executable, "-m", "foundations", *words], cwd=cwd or self.home,
            env=self.environment(**(env or {})), capture_output=True, text=True,
            timeout=100, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def folder(self, name: str, **files: str) -> Path:
        """Make a project folder; `main_py="..."` becomes main.py."""
        folder = self.projects / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / file.replace("_py", ".py")).write_text(text, encoding="utf-8")
        return folder

    def submit(self, name: str, script: str, *options: str, wait: bool = True) -> str:
        """Submit a one-file project; return the job's ID, once it is over unless told otherwise."""
        folder = self.folder(name, main_py=script)
        streaming = ["--stream-job-logs", str(wait)]
        done = self("submit", "--quiet", *streaming, *options, "scheduler", str(folder), "main.py")
        assert done.stdout.strip(), done.stderr
        return done.stdout.strip()

    def json(self, *words: str) -> Any:
        """Run a command with --json and return what it printed."""
        import json

        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _stopped(atlas: Atlas) -> None:
    unfinished = atlas("list", "--all", "--quiet", "--status", "queued,starting,running")
    for job in unfinished.stdout.split():
        atlas("stop", job)
    atlas.server("stop")


@pytest.fixture(scope="session")
def atlas(tmp_path_factory):
    """A server for all tests of this process; they share it and must not empty it."""
    atlas = Atlas(tmp_path_factory.mktemp("atlas") / "home")
    atlas.start()
    yield atlas
    _stopped(atlas)


@pytest.fixture
def own_atlas(tmp_path):
    """A server for one test alone."""
    atlas = Atlas(tmp_path / "home")
    atlas.start()
    yield atlas
    _stopped(atlas)
