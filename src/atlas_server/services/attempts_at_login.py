"""How often passwords may be tried: those who guess have to wait, those who know theirs do not."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass

# Of one account from one address, of any accounts from one address, of one account from anywhere
# but where its user was seen before: so many may fail before one has to wait.
_FREE = {"pair": 5, "address": 30, "account": 50}
_LONGEST_WAIT = 300.0
# A failure is forgotten after so many seconds without another one.
_MEMORY = 3600.0
_MOST_KEPT = 20_000


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0

    def wait(self, free: int, now: float) -> float:
        """Seconds until the next try: doubled by every failure beyond the free ones."""
        if self.count < free:
            return 0.0
        pause = min(_LONGEST_WAIT, 2.0 ** min(self.count - free, 20))
        return max(0.0, self.last + pause - now)


class LoginAttempts:
    """Counts failed logins; in memory, for each process of the server."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, ...], _Failures] = {}
        self._lock = threading.Lock()

    def wait(self, user: str, address: str, now: float, is_known: Callable[[], bool]) -> float:
        """Return how many seconds a try has to wait, 0 where it need not.

        `is_known` tells whether the user was seen at this address before: guesses that come from
        all over the world do not keep the owner out.
        """
        place = _network(address)
        with self._lock:
            waits = {
                kind: self._failures[key].wait(_FREE[kind], now)
                for kind, key in _keys(user, place)
                if key in self._failures
            }
        near = max(waits.get("pair", 0.0), waits.get("address", 0.0))
        far = waits.get("account", 0.0)
        return max(near, far) if far and not is_known() else near

    def begin(self, user: str, address: str, now: float) -> None:
        """Count a try as failed, before it has: many at once must not slip through together."""
        with self._lock:
            if len(self._failures) > _MOST_KEPT:
                self._forget(now)
            for _, key in _keys(user, _network(address)):
                failures = self._failures.setdefault(key, _Failures())
                if now - failures.last > _MEMORY:
                    failures.count = 0
                failures.count += 1
                failures.last = now

    def succeeded(self, user: str, address: str) -> None:
        """Forget what failed before at this place: it was the owner who mistyped."""
        place = _network(address)
        with self._lock:
            self._failures.pop(("pair", user, place), None)
            for kind, key in _keys(user, place):
                if kind != "pair" and key in self._failures:
                    self._failures[key].count -= 1

    def _forget(self, now: float) -> None:
        old = [key for key, found in self._failures.items() if now - found.last > _MEMORY]
        # Where all are new, somebody makes names up: those that count least go.
        if not old:
            by_count = sorted(self._failures, key=lambda key: self._failures[key].count)
            old = by_count[: _MOST_KEPT // 2]
        for key in old:
            del self._failures[key]


def _keys(user: str, place: str) -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("pair", ("pair", user, place)),
        ("address", ("address", place)),
        ("account", ("account", user)),
    ]


def _network(address: str) -> str:
    """Return what one client can choose its addresses from: with IPv6 whole networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6:
        mapped = found.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
