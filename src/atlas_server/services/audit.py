"""The audit log: who did what. Written by a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading

from atlas_server.domain.deeds import AuditFilter, Deed
from atlas_server.store import audits
from atlas_server.store.engine import Store

log = logging.getLogger(__name__)

_MOST_AT_ONCE = 500
# What others send us is shortened, so that nobody can fill the log with one line.
_LONGEST = 300


class AuditLog:
    """Takes down deeds while it is started; what was noted before `close` is written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: queue.SimpleQueue[Deed | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left and end."""
        self._noted.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def note(self, deed: Deed) -> None:
        """Take down one thing that somebody did."""
        self._noted.put(deed)

    def write(self, deed: Deed) -> None:
        """Write one down at once: for commands that end soon."""
        self._keep([deed])

    def entries(self, condition: AuditFilter, limit: int) -> list[tuple[int, Deed]]:
        """Return entries with their numbers, newest first."""
        with self._store.read() as connection:
            return audits.entries(connection, condition, limit)

    def _write_all(self) -> None:
        going_on = True
        while going_on:
            batch = [self._noted.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _MOST_AT_ONCE:
                    batch.append(self._noted.get_nowait())
            going_on = None not in batch
            deeds = [deed for deed in batch if deed is not None]
            if deeds:
                self._keep(deeds)

    def _keep(self, batch: list[Deed]) -> None:
        try:
            with self._store.write() as connection:
                audits.append(connection, [_shortened(deed) for deed in batch])
        except Exception:
            # A full disk, say. This thread may not die of it, and the server's own log has it.
            log.exception("The audit log cannot be written: %s", batch)


def _shortened(deed: Deed) -> Deed:
    return Deed(
        deed.time,
        _plain(deed.user),
        _plain(deed.through),
        _plain(deed.address),
        deed.action,
        _plain(deed.target),
        deed.outcome,
    )


def _plain(text: str) -> str:
    """Text that every database holds and every terminal shows as it is."""
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
