"""Which of several server processes schedules, so that it is one at any time.

The one that does holds a lease in the database, which it renews. When it has not been renewed in
time another process takes over, and the first one, should it only have slept, writes nothing any
more: each of its transactions asks first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Connection

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.ports import Clock
from atlas_server.domain.resources import Gpu, Node
from atlas_server.store import jobs, leadership
from atlas_server.store.engine import Store
from foundations.contract.codec import plain
from foundations.errors import FoundationsError, Unavailable

log = logging.getLogger(__name__)

# So often in the length of a lease it is renewed.
_RENEWALS = 4
_USAGE_SECONDS = 5.0
_KEPT_SECONDS = 1.0


class NotLeading(FoundationsError):
    """Another process schedules by now."""

    code = "not_leading"


class Machines(Protocol):
    """What jobs can be placed on, as the process that schedules sees it."""

    def nodes(self) -> Sequence[Node]:
        """Return every node."""
        ...

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on there."""
        ...


class Leadership(Protocol):
    """Whether this process is the one that schedules."""

    @property
    def leads(self) -> bool:
        """Whether it is, for certain."""
        ...

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; `changed` is called when it becomes the one, and when it is no more."""
        ...

    def close(self) -> None:
        """Be it no more."""
        ...


class Alone:
    """There are no others: the lock of the home keeps them out."""

    leads = True

    def start(self, changed: Callable[[], None]) -> None:
        """Nothing will change."""

    def close(self) -> None:
        """Nobody waits for it."""


class Elected:
    """One of several processes, by a lease in the database."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        holder: str,
        seconds: float,
        machines: Machines | None,
        machine: str,
    ) -> None:
        """`machines` are this process's own; None for one that never schedules.

        `machine` is the name of the one that it runs on itself.
        """
        self._store = store
        self._clock = clock
        self._holder = holder
        self._seconds = seconds
        self._machines = machines
        self._machine = machine
        self._epoch: int | None = None
        self._sure_until = 0.0
        self._told_until = 0.0
        self._told: Any = None
        self._kept: tuple[float, leadership.Leader] | None = None
        self._changed: Callable[[], None] = lambda: None
        self._stopping = threading.Event()
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether the lease is ours, for certain."""
        return self._epoch is not None and time.monotonic() < self._sure_until

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to take the lease where it is free.

        Returns when it was tried: from then on somebody schedules, if the database is there.
        """
        self._changed = changed
        if self._machines is not None:
            self._thread.start()
            self._tried.wait(self._seconds)

    def close(self) -> None:
        """Give the lease back, so that another takes over at once."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self._thread.join()
        if self._epoch is not None:
            with self._store.write_beside() as connection:
                leadership.resign(connection, self._epoch)

    def check(self, connection: Connection) -> None:
        """Let a transaction go on only while nobody else schedules. Raises NotLeading."""
        epoch = self._epoch
        if epoch is None or not leadership.is_held(connection, epoch):
            raise NotLeading("Another process schedules by now.")

    def nodes(self) -> Sequence[Node]:
        """Return what the process that schedules can place on. Raises Unavailable."""
        if self._machines is not None and self.leads:
            return self._machines.nodes()
        return [_node(node) for node in self._leader().nodes or ()]

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what it last said of them."""
        if self._machines is not None and self.leads:
            return self._machines.usage()
        return cast("dict[str, NodeLive]", self._leader().usage or {})

    def _leader(self) -> leadership.Leader:
        if self._kept is None or time.monotonic() > self._kept[0]:
            with self._store.read() as connection:
                found = leadership.current(connection)
            if found is None or found.nodes is None:
                raise Unavailable(
                    "No process of this server schedules yet.",
                    "Start one: atlas-server start --role scheduler",
                )
            self._kept = (time.monotonic() + _KEPT_SECONDS, found)
        return self._kept[1]

    def _run(self) -> None:
        while not self._stopping.is_set():
            led = self._epoch is not None
            try:
                self._renew() if led else self._try_to_take()
            except FoundationsError as error:
                log.warning("The scheduler's lease could not be looked after: %s", error.message)
            except Exception:
                log.exception("The scheduler's lease could not be looked after.")
            if led != (self._epoch is not None):
                word = "schedules from now on" if self._epoch is not None else "schedules no more"
                log.info("This process (%s) %s.", self._holder, word)
                self._changed()
            self._tried.set()
            self._stopping.wait(self._seconds / _RENEWALS)

    def _renew(self) -> None:
        epoch = self._epoch
        assert epoch is not None
        begun = time.monotonic()
        with self._store.write_beside() as connection:
            if not leadership.renew(connection, epoch, self._seconds):
                self._epoch = None
                return
        self._sure_until = begun + self._seconds
        self._publish(epoch)

    def _try_to_take(self) -> None:
        with self._store.read() as connection:
            found = leadership.current(connection)
            if found is not None and found.left >= 0:
                return
            if found is not None and self._is_of_others(connection, found):
                return
        begun = time.monotonic()
        with self._store.write_beside() as connection:
            epoch = leadership.take(connection, self._holder, self._machine, self._seconds)
        if epoch is not None:
            self._told = None
            self._sure_until = begun + self._seconds
            self._epoch = epoch
            self._publish(epoch)

    def _is_of_others(self, connection: Connection, last: leadership.Leader) -> bool:
        """Whether jobs still run on another machine: only a scheduler there can look after them."""
        if last.machine in ("", self._machine):
            return False
        now = self._clock.now()
        alive = [a for a in jobs.open_attempts(connection) if a.lease_until > now]
        return any(attempt.allocation.get("node") == last.machine for attempt in alive)

    def _publish(self, epoch: int) -> None:
        assert self._machines is not None
        nodes = plain(list(self._machines.nodes()))
        now = time.monotonic()
        if nodes == self._told and now < self._told_until:
            return
        usage = plain(dict(self._machines.usage()))
        with self._store.write_beside() as connection:
            leadership.publish(connection, epoch, nodes, usage)
        self._told, self._told_until = nodes, now + _USAGE_SECONDS


def _node(told: Mapping[str, Any]) -> Node:
    gpus = tuple(Gpu(**gpu) for gpu in told["gpus"])
    lists = {name: tuple(told.get(name, ())) for name in ("pools", "labels")}
    return Node(**{**told, "gpus": gpus, **lists})
