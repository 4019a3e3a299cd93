"""How long an attempt may be silent before it counts as lost."""

from __future__ import annotations

from collections.abc import Sequence

from atlas_server.domain import leases
from atlas_server.domain.ports import Clock
from atlas_server.domain.records import AttemptRecord
from atlas_server.store import jobs
from atlas_server.store.engine import Store


class Leases:
    """Reads and renews the leases of attempts."""

    def __init__(self, store: Store, clock: Clock, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds

    def renew(self, attempts: Sequence[AttemptRecord]) -> None:
        """Give each attempt a full lease from now."""
        if not attempts:
            return
        now = self._clock.now()
        with self._store.write() as connection:
            for attempt in attempts:
                until = now + leases.length(attempt.executor, self._seconds)
                jobs.update_attempt(connection, attempt.id, {"lease_until": until})

    def current(self, attempt_id: int) -> AttemptRecord | None:
        """Return the attempt as it stands now."""
        with self._store.read() as connection:
            return jobs.find_attempt(connection, attempt_id)

    def until(self, attempt_id: int) -> float:
        """Return when the lease ends, in seconds since the epoch."""
        attempt = self.current(attempt_id)
        return attempt.lease_until if attempt else 0.0

    def is_silent(self, attempt_id: int, now: float) -> bool:
        """Whether an attempt has not been heard of for as long as any runner may be silent."""
        attempt = self.current(attempt_id)
        if attempt is None:
            return True
        heard = leases.last_heard(attempt.executor, attempt.lease_until, self._seconds)
        return now - heard > self._seconds

    def longest_silence(self) -> float:
        """Return the seconds since the running job was heard of that has been silent longest."""
        now = self._clock.now()
        with self._store.read() as connection:
            attempts = jobs.open_attempts(connection)
        heard = (
            leases.last_heard(one.executor, one.lease_until, self._seconds) for one in attempts
        )
        return max((now - at for at in heard), default=0.0)

    def count_recovery(self, attempt: AttemptRecord, handle: str | None) -> None:
        """Note that another runner is sent after a dead one, and its handle where it is known."""
        values: dict[str, object] = {
            "recoveries": attempt.recoveries + 1,
            "lease_until": self._clock.now() + self._seconds,
        }
        if handle is not None:
            values["handle"] = handle
        with self._store.write() as connection:
            jobs.update_attempt(connection, attempt.id, values)
