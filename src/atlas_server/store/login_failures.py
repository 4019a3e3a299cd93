"""Rows of logins that failed, which all processes of a server count together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, case, delete, func, select, update

from atlas_server.store.account_tables import login_failures
from atlas_server.store.upserts import replacing

_put = replacing(login_failures, ["digest"])


def of(connection: Connection, digests: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Return (how many, when the last) of those of these that have failed."""
    query = select(login_failures).where(login_failures.c.digest.in_(digests))
    return {digest: (count, last) for digest, count, last in connection.execute(query)}


def put(connection: Connection, counts: Mapping[str, int], now: float) -> None:
    """Note how often each of these has failed by now."""
    rows = [{"digest": digest, "count": n, "last": now} for digest, n in counts.items()]
    connection.execute(_put.on(connection), rows)


def take_back(connection: Connection, digests: Sequence[str]) -> None:
    """Count one failure less of each."""
    count = login_failures.c.count
    query = update(login_failures).where(login_failures.c.digest.in_(digests))
    connection.execute(query.values(count=case((count > 0, count - 1), else_=0)))


def remove(connection: Connection, digest: str) -> None:
    """Forget the failures of one."""
    connection.execute(delete(login_failures).where(login_failures.c.digest == digest))


def tidy(connection: Connection, before: float, most: int) -> None:
    """Forget what is older than `before`; of more than `most` also those that count least."""
    connection.execute(delete(login_failures).where(login_failures.c.last < before))
    there = connection.execute(select(func.count()).select_from(login_failures)).scalar_one()
    if there > most:
        ordered = select(login_failures.c.digest).order_by(
            login_failures.c.count, login_failures.c.last
        )
        least = ordered.limit(there - most // 2)
        connection.execute(delete(login_failures).where(login_failures.c.digest.in_(least)))
