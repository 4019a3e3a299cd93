"""How often passwords may be tried: those who guess have to wait, those who know theirs do not.

The database counts, so that all processes of a server count together and a restart forgets nothing.
Only logins come here: what tokens show is no guess, and costs no write.
"""

from __future__ import annotations

import hashlib
import ipaddress

from sqlalchemy import Connection

from atlas_server.store import accounts, login_failures
from atlas_server.store.engine import Store

# Of one account from one address, of any accounts from one address, of one account from anywhere
# but where its user was seen before: so many may fail before one has to wait.
_FREE = {"pair": 5, "address": 30, "account": 50}
_LONGEST_WAIT = 300.0
# A failure is forgotten after so many seconds without another one.
_MEMORY = 3600.0
_MOST_KEPT = 20_000


class LoginAttempts:
    """Counts failed logins."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, user: str, address: str, now: float) -> float:
        """Return how many seconds a try has to wait; 0 where it need not.

        Then it counts as failed before it has: many at once must not slip through together.
        Guesses that come from all over the world do not keep the owner out, where an account is
        known to be used.
        """
        with self._store.read() as connection:
            wait = _wait(connection, user, address, now)
        if wait > 0:
            return wait  # whoever has to wait costs no write
        with self._store.write() as connection:
            wait = _wait(connection, user, address, now)
            if wait > 0:
                return wait
            keys = _keys(user, address)
            counts = _counts(connection, keys, now)
            login_failures.put(
                connection, {key: counts.get(kind, (0, 0.0))[0] + 1 for kind, key in keys.items()},
                now,
            )  # fmt: skip
            login_failures.tidy(connection, now - _MEMORY, _MOST_KEPT)
        return 0.0

    def succeeded(self, user: str, address: str) -> None:
        """Forget what failed before at this place: it was the owner who mistyped."""
        keys = _keys(user, address)
        with self._store.write() as connection:
            login_failures.remove(connection, keys["pair"])
            login_failures.take_back(connection, [keys["address"], keys["account"]])


def _wait(connection: Connection, user: str, address: str, now: float) -> float:
    counts = _counts(connection, _keys(user, address), now)
    waits = {kind: _pause(kind, count, last, now) for kind, (count, last) in counts.items()}
    near = max(waits.get("pair", 0.0), waits.get("address", 0.0))
    far = waits.get("account", 0.0)
    if far <= near or accounts.knows_address(connection, user, address):
        return near
    return far


def _pause(kind: str, count: int, last: float, now: float) -> float:
    """Seconds until the next try: doubled by every failure beyond the free ones."""
    if count < _FREE[kind]:
        return 0.0
    pause = min(_LONGEST_WAIT, 2.0 ** min(count - _FREE[kind], 20))
    return max(0.0, last + pause - now)


def _counts(
    connection: Connection, keys: dict[str, str], now: float
) -> dict[str, tuple[int, float]]:
    found = login_failures.of(connection, list(keys.values()))
    return {
        kind: found[key]
        for kind, key in keys.items()
        if key in found and now - found[key][1] <= _MEMORY
    }


def _keys(user: str, address: str) -> dict[str, str]:
    """What is counted. As digests: who is in a hurry may type a password as a name."""
    place = _network(address)
    named = {"pair": (user, place), "address": (place,), "account": (user,)}
    return {
        kind: hashlib.sha256("\0".join((kind, *words)).encode("utf-8", "surrogatepass")).hexdigest()
        for kind, words in named.items()
    }


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
