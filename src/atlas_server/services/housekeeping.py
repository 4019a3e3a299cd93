"""Removes what nobody needs any more: of deleted jobs at once, all else now and then."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from atlas_server.domain.records import JobRecord
from atlas_server.services.archives import Archives
from atlas_server.services.clearing import Clearing
from atlas_server.store import jobs
from atlas_server.store.engine import Store
from foundations.errors import Refused
from foundations.locks import is_locked

log = logging.getLogger(__name__)

_FIRST_AFTER = 60.0
_INTERVAL = 6 * 3600.0
_BREATH = 1.0
_ORPHANS_INTERVAL = 60.0
_COUNT_INTERVAL = 900.0

# Removes containers of attempts that are over: (job ID, number) -> bool; how many are left.
RemoveOrphans = Callable[[Callable[[str, int], bool]], int | None]


class Housekeeping:
    """A thread that clears away deleted jobs at once, and everything else now and then."""

    def __init__(
        self,
        store: Store,
        archives: Archives,
        clearing: Clearing,
        remove_orphans: RemoveOrphans,
        leads: Callable[[], bool],
    ) -> None:
        """What is of no single job is tidied by the one process that `leads`."""
        self._leads = leads
        self._store = store
        self._archives = archives
        self._clearing = clearing
        self._remove_orphans = remove_orphans
        self.blob_bytes: int | None = None
        """How much is stored, as it was counted last; None: not yet."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin; the first tidying comes after a while: a start has better things to do."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after what it does now."""
        self._stopping.set()

    def tidy(self) -> None:
        """Remove what is left over now, and what rules say."""
        try:
            for each in self._clearing.clear(dry=False):
                by = f" by the rule '{each.rule}'" if each.rule is not None else ""
                freed = each.freed
                log.info("Removed%s: %s (%d, %d bytes).", by, each.what, freed.files, freed.size)
        except Refused as error:
            log.warning("%s", error)

    def _run(self) -> None:
        due = time.monotonic() + _FIRST_AFTER
        orphans_due = count_due = time.monotonic()
        while not self._stopping.is_set():
            try:
                if time.monotonic() >= orphans_due:
                    orphans_due = time.monotonic() + _ORPHANS_INTERVAL
                    if self._leads():
                        self._remove_orphans(self._is_left_over)
                if time.monotonic() >= count_due:
                    self.blob_bytes = self._archives.stored_bytes()
                    count_due = time.monotonic() + _COUNT_INTERVAL
                if time.monotonic() >= due:
                    due = time.monotonic() + _INTERVAL
                    if self._leads():
                        self.tidy()
                self._archives.tidy(min(due, orphans_due) - time.monotonic())
            except Exception:
                # Whatever it was: without this thread the disk would fill up.
                log.exception("Tidying up failed; it is tried again later.")
                self._stopping.wait(_BREATH)

    def _is_left_over(self, job_id: str, number: int) -> bool:
        """Whether nothing that belongs to this attempt is needed any more."""
        job = self._find(job_id)
        over = job is None or job.state.is_final or job.attempts != number
        return over and not is_locked(self._clearing.home / "work" / job_id / str(number) / "lock")

    def _find(self, job_id: str) -> JobRecord | None:
        with self._store.read() as connection:
            return jobs.find(connection, job_id)
