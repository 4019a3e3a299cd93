"""Which nodes get no new jobs because somebody wants them empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.drains import Drain, without_drained
from atlas_server.domain.ports import Clock
from atlas_server.domain.resources import Node
from atlas_server.services.feed import Feed
from atlas_server.services.leadership import Machines
from atlas_server.store import drains, events
from atlas_server.store.engine import Store

# Another process may have changed them: so old they are read anew.
_KEPT_SECONDS = 1.0


class Drains:
    """The nodes that are drained."""

    def __init__(self, store: Store, feed: Feed, clock: Clock) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._kept: tuple[float, Mapping[str, Drain]] | None = None

    def by_node(self) -> Mapping[str, Drain]:
        """Return all of them by the names of their nodes."""
        now, kept = self._clock.now(), self._kept
        if kept is None or not 0 <= now - kept[0] < _KEPT_SECONDS:
            with self._store.read() as connection:
                kept = self._kept = now, drains.everything(connection)
        return kept[1]

    def jobs_on(self, name: str) -> list[str]:
        """Return the jobs that still have something of a node."""
        with self._store.read() as connection:
            return drains.occupied(connection, name)

    def drain(self, name: str, by: str, reason: str) -> None:
        """Give a node no new jobs; what runs there goes on."""
        now = self._clock.now()
        with self._store.write(durable=True) as connection:
            drains.put(connection, name, Drain(by, reason, now))
            payload = {"node": name, "by": by, "reason": reason}
            events.append(connection, now, "node.drained", None, payload)
        self._changed()

    def undrain(self, name: str, by: str) -> bool:
        """Let a node take jobs again; False where it was not drained."""
        with self._store.write(durable=True) as connection:
            was_drained = drains.remove(connection, name)
            if was_drained:
                payload = {"node": name, "by": by}
                events.append(connection, self._clock.now(), "node.undrained", None, payload)
        self._changed()
        return was_drained

    def _changed(self) -> None:
        self._kept = None
        # The scheduler has to look again, though no job has changed.
        self._feed.notify("")


class OpenMachines:
    """Machines as they are to be used: those that are drained take no new jobs."""

    def __init__(self, machines: Machines, drains: Drains) -> None:
        self._machines = machines
        self._drains = drains

    def nodes(self) -> Sequence[Node]:
        """Return every node."""
        return without_drained(self._machines.nodes(), self._drains.by_node())

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on there."""
        return self._machines.usage()
