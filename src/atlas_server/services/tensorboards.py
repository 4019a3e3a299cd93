"""Running TensorBoards: one for each selection of jobs, ended when nobody looks at it any more."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from atlas_server.archive.directories import DirectoryArchive
from atlas_server.domain.records import JobRecord
from foundations.contract.events import TENSORBOARD
from foundations.errors import NotFound, Refused, ServerError

log = logging.getLogger(__name__)

# Ends with the server, whatever ends that. The server's thread that starts it lives as long.
_TIED = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 15)\n"
    "os.getppid() == int(sys.argv[1]) and os.execvp(sys.argv[2], sys.argv[2:])"
)
_ADDRESS = re.compile(rb"TensorBoard .* at http://[^:/]+:(\d+)/")
_PATIENCE = 120.0
_RELOAD_SECONDS = "5"
_LAST_WORDS = 2000


class Session:
    """One TensorBoard, over links to the jobs' folders in `logdir`."""

    def __init__(self, session_id: str, job_ids: tuple[str, ...], logdir: Path) -> None:
        self.id = session_id
        self.job_ids = job_ids
        self.path = f"/tensorboard/{session_id}/"
        self.port: int | None = None
        self.used_at = time.monotonic()
        self._logdir = logdir
        self._told = threading.Event()
        self._output = b""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str]) -> None:
        """Start it, and wait until it answers. Raises ServerError."""
        options = [
            "--logdir", str(self._logdir), "--host", "127.0.0.1", "--port", "0",
            "--path_prefix", self.path.rstrip("/"), "--reload_interval", _RELOAD_SECONDS,
        ]  # fmt: skip
        argv = [*command, *options]
        threading.Thread(target=self._run, args=(argv,), name="tensorboard", daemon=True).start()
        if not self._told.wait(_PATIENCE) or self.port is None:
            self.end()
            said = self._output[-_LAST_WORDS:].decode("utf-8", "replace").strip()
            raise ServerError(f"TensorBoard does not start: {said or 'it says nothing'}")

    @property
    def runs(self) -> bool:
        """Whether it answers, as far as is known."""
        return self.port is not None

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()

    def _run(self, argv: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _TIED, str(os.getpid()), *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert self._process.stdout is not None
            with self._process.stdout as output:
                for line in output:
                    self._output = (self._output + line)[-2 * _LAST_WORDS :]
                    found = _ADDRESS.search(line)
                    if found is not None:
                        self.port = int(found[1])
                        self._told.set()
            self._process.wait()
        finally:
            self.port = None
            self._told.set()
            shutil.rmtree(self._logdir, ignore_errors=True)


class TensorBoards:
    """`command` gives what starts TensorBoard; one that is not used for `idle` seconds ends."""

    def __init__(
        self,
        archive: DirectoryArchive,
        folder: Path,
        command: Callable[[], list[str]],
        idle: float,
    ) -> None:
        self._archive = archive
        self._folder = folder
        self._command = command
        self._idle = idle
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reaper: threading.Thread | None = None

    def open(self, jobs: Sequence[JobRecord]) -> Session:
        """Return the TensorBoard of these jobs, started if need be.

        Raises Refused where none of them has files, ServerError where it does not start.
        """
        found = {job.job_id: job for job in jobs}
        session_id = hashlib.sha256(" ".join(sorted(found)).encode()).hexdigest()[:16]
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or not session.runs:
                session = self._start(session_id, list(found.values()))
            session.used_at = time.monotonic()
            return session

    def find(self, session_id: str) -> Session:
        """Return a TensorBoard that runs, and count it as used. Raises NotFound."""
        session = self._sessions.get(session_id)
        if session is None or not session.runs:
            raise NotFound(
                f"There is no TensorBoard '{session_id}': it was ended, or was idle for long.",
                "Open it again: foundations tensorboard JOB ...",
            )
        session.used_at = time.monotonic()
        return session

    def end(self, session_id: str) -> None:
        """End a TensorBoard; harmless where it has ended."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.end()

    def close(self) -> None:
        """End all of them."""
        self._closing.set()
        for session_id in list(self._sessions):
            self.end(session_id)

    def _start(self, session_id: str, jobs: Sequence[JobRecord]) -> Session:
        logdir = self._folder / session_id
        shutil.rmtree(logdir, ignore_errors=True)
        logdir.mkdir(parents=True)
        names = Counter(job.name for job in jobs)
        count = 0
        for job in jobs:
            source = self._archive.folder(job.job_id, TENSORBOARD)
            if source.exists() or not job.state.is_final:  # its files may be on the way
                count += 1
                alone = job.name and names[job.name] == 1 and "/" not in job.name
                (logdir / (job.name if alone and job.name else job.job_id)).symlink_to(source)
        if not count:
            logdir.rmdir()
            raise Refused(
                "None of the jobs has files of TensorBoard.",
                "In the job, call foundations.set_tensorboard_logdir(FOLDER).",
            )
        session = Session(session_id, tuple(job.job_id for job in jobs), logdir)
        session.start(self._command())
        self._sessions[session_id] = session
        if self._reaper is None:
            self._reaper = threading.Thread(target=self._reap, name="tensorboards", daemon=True)
            self._reaper.start()
        return session

    def _reap(self) -> None:
        while not self._closing.wait(min(self._idle / 4, 60.0)):
            limit = time.monotonic() - self._idle
            for session in list(self._sessions.values()):
                if session.used_at < limit or not session.runs:
                    log.info("TensorBoard %s is ended: nobody looks at it.", session.id)
                    self.end(session.id)
