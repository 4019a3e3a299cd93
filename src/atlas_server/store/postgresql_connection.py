"""A connection that does not wait for ever. Imported only where the driver is installed.

The network's own time-outs notice a line that was cut. They do not notice a database whose machine
answers for it while it stands still itself: a disk that hangs, a machine that is being moved.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

_BEGINNING = 10.0
# More than a statement may take on the other side.
_STATEMENT = 130.0


class Connection(psycopg.Connection[Any]):
    """Closes itself where the database says nothing for longer than `patience` seconds.

    That is as long as connecting may take, until somebody uses it.
    """

    patience = _BEGINNING
    _beginning = _BEGINNING

    @classmethod
    def opened(cls, url: str, **settings: Any) -> Connection:
        """Return a connection to the database that a URL names, in autocommit."""
        connection = cls.connect(url, autocommit=True, **settings)
        asked = conninfo_to_dict(url, **settings).get("connect_timeout")
        connection._beginning = float(asked or _BEGINNING)
        connection.rest()
        return connection

    def rest(self) -> None:
        """Be used by nobody: whether it lives at all is what is asked next."""
        self.patience = self._beginning

    def work(self) -> None:
        """Be used, for statements that may take their time."""
        self.patience = _STATEMENT

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        """Wait for an answer, as the driver does, but not for ever. Raises OperationalError."""
        return super().wait(self._in_time(gen), *arguments, **named)

    def _in_time(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        patience = self.patience
        end = time.monotonic() + patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                # The driver looks up now and then where there is nothing to hear.
                if not ready and time.monotonic() > end:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"it says nothing for {patience:g} seconds")
                if ready:
                    end = time.monotonic() + patience
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value
