"""Removes what nobody needs any more: content of no job, folders of attempts that are over."""

from __future__ import annotations

import fcntl
import logging
import shutil
import threading
from pathlib import Path

from atlas_server.archive.bundles import Bundles
from atlas_server.services.archives import Archives
from atlas_server.store import jobs
from atlas_server.store.engine import Store
from foundations.errors import FoundationsError

log = logging.getLogger(__name__)

_FIRST_AFTER = 60.0
_INTERVAL = 6 * 3600.0


class Housekeeping:
    """A thread that tidies up now and then."""

    def __init__(self, store: Store, bundles: Bundles, archives: Archives, work: Path) -> None:
        self._store = store
        self._bundles = bundles
        self._archives = archives
        self._work = work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, after a while: a start has better things to do."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()

    def tidy(self) -> None:
        """Remove what is left over now."""
        self._remove_work()
        removed = self._bundles.sweep(self._archives.live)
        if removed:
            log.info("Removed %d files that no job has.", removed)

    def _run(self) -> None:
        pause = _FIRST_AFTER
        while not self._stopping.wait(pause):
            pause = _INTERVAL
            try:
                self.tidy()
            except (OSError, FoundationsError):
                log.exception("Tidying up failed; it is tried again later.")

    def _remove_work(self) -> None:
        for attempt in self._work.glob("*/*"):
            if self._is_over(attempt.parent.name) and not _is_taken(attempt):
                shutil.rmtree(attempt, ignore_errors=True)
        for folder in self._work.iterdir():
            if not any(folder.iterdir()):
                folder.rmdir()

    def _is_over(self, job_id: str) -> bool:
        with self._store.read() as connection:
            job = jobs.find(connection, job_id)
        return job is None or job.state.is_final


def _is_taken(attempt: Path) -> bool:
    """Whether a living runner holds the attempt's folder."""
    try:
        with (attempt / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
