"""Messages between the server processes of one PostgreSQL database (LISTEN and NOTIFY).

Imported only where its driver is installed.

A message may be lost, with a process or a connection: whoever listens looks at the numbers of
events, too, and is told that something may have been missed.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from psycopg import Error

from atlas_server.database_url import nameable
from atlas_server.store.engine import SCHEMA_VERSION
from atlas_server.store.postgresql import SERVERS, connect
from foundations.errors import FoundationsError, Refused

log = logging.getLogger(__name__)

_CHANNEL = "atlas"
FAREWELL = "[]"
"""Says nothing."""
_STATE = "SELECT (SELECT max(seq) FROM events), (SELECT version_num FROM alembic_version)"
_LONGEST = 7000  # bytes; PostgreSQL takes 8000
# Between two looks at the numbers of events.
_LOOK = 1.0
_PAUSE = 0.5


class Signals:
    """Sends texts to all other processes, and hears theirs.

    `heard` is called with each text, `missed` when some may have been lost. As long as a process
    listens nobody copies the database elsewhere.
    """

    def __init__(self, url: str, heard: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._url = url
        self._heard = heard
        self._missed = missed
        self._stopping = threading.Event()
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._seq: int | None = None
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("signals-in", self._listen), ("signals-out", self._tell))
        ]
        self._connection: Any = None

    def start(self) -> None:
        """Begin to listen. Raises Refused where the database is just being copied elsewhere."""
        self._connection = self._open()
        for thread in self._threads:
            thread.start()

    def send(self, text: str) -> None:
        """Tell all others, soon; texts that wait together go together, one a line."""
        self._waiting.put(text)

    def close(self) -> None:
        """End both threads."""
        self._stopping.set()
        self._waiting.put(FAREWELL)  # which our own listener hears, too
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _open(self) -> Any:
        connection = connect(self._url)
        shared = f"SELECT pg_try_advisory_lock_shared({SERVERS})"
        (free,) = connection.execute(shared).fetchone()
        if not free:
            connection.close()
            raise Refused(
                f"The database {nameable(self._url)} is just being copied elsewhere.",
                "Start the server when that is done.",
            )
        connection.execute(f"LISTEN {_CHANNEL}")
        return connection

    def _listen(self) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                if self._connection is None:
                    self._connection = self._open()
                with closing(self._connection) as connection:
                    told = False
                    self._missed()
                    self._hear(connection)
            except (Error, FoundationsError, OSError) as error:
                # Once for each time that it is away.
                if not told and not self._stopping.is_set():
                    log.warning("Other processes are not heard at the moment: %s", _short(error))
                    told = True
            self._connection = None
            self._stopping.wait(_PAUSE)

    def _hear(self, connection: Any) -> None:
        while not self._stopping.is_set():
            for message in connection.notifies(timeout=_LOOK):
                for line in message.payload.splitlines():
                    self._heard(line)
                if self._stopping.is_set():
                    return
            self._look(connection)

    def _look(self, connection: Any) -> None:
        seq, schema = connection.execute(_STATE).fetchone()
        if schema > SCHEMA_VERSION:
            log.error(
                "A newer Atlas has upgraded the database (schema %s): this one stops. Install "
                "that version, or a newer one. Jobs that run go on.", schema,
            )  # fmt: skip
            self._stopping.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if seq != self._seq:
            self._seq = seq
            self._missed()

    def _tell(self) -> None:
        connection: Any = None
        ended = False
        while not ended:
            lines, ended = self._take()
            try:
                connection = connection or connect(self._url)
                connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, "\n".join(lines)))
            except (Error, FoundationsError, OSError) as error:
                # The others look at the numbers of events.
                log.warning("Other processes could not be told: %s", _short(error))
                if connection is not None:
                    connection.close()
                connection = None
                self._stopping.wait(_PAUSE)
        if connection is not None:
            connection.close()

    def _take(self) -> tuple[list[str], bool]:
        """What is to be told now, one of each: many lines of a log say the same; is it the end?"""
        lines: dict[str, None] = {}
        text = self._waiting.get()
        while text is not None:
            lines[text] = None
            if self._waiting.empty() or sum(map(len, lines)) > _LONGEST // 2:
                return list(lines), False
            text = self._waiting.get()
        return list(lines), True


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0]
