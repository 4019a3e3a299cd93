"""The row that says which server process schedules."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from atlas_server.store.tables import scheduler_lease as lease
from atlas_server.store.upserts import passing_over

_CLOCK = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}


class Leader(NamedTuple):
    """Who schedules, on which machine; `left` seconds are for it alone, fewer than 0: are over."""

    holder: str
    machine: str
    epoch: int
    left: float
    nodes: list[dict[str, Any]] | None
    usage: dict[str, Any] | None


def current(connection: Connection) -> Leader | None:
    """Return who schedules or did so last; None where nobody ever has."""
    row = connection.execute(_CURRENT).first()
    if row is None or not row.epoch:
        return None
    left = row.until - _now(connection)
    return Leader(row.holder, row.machine, row.epoch, left, row.nodes, row.usage)


def take(connection: Connection, holder: str, machine: str, seconds: float) -> int | None:
    """Become the one that schedules, where nobody is: return the epoch, None where somebody is."""
    nobody = {"id": 1, "holder": "", "machine": "", "epoch": 0, "until": 0.0}
    connection.execute(_MAKE.on(connection), nobody)
    now = _now(connection)
    values = {"by": holder, "on": machine, "end": now + seconds, "now": now}
    return connection.execute(_TAKE, values).scalar()


def renew(connection: Connection, epoch: int, seconds: float) -> bool:
    """Go on for so many seconds; False where somebody else has taken over."""
    values = {"own": epoch, "end": _now(connection) + seconds}
    return connection.execute(_RENEW, values).rowcount == 1


def resign(connection: Connection, epoch: int) -> None:
    """Let others take over at once."""
    connection.execute(_RENEW, {"own": epoch, "end": 0.0})


def publish(
    connection: Connection, epoch: int, nodes: list[dict[str, Any]], usage: dict[str, Any]
) -> None:
    """Tell the other processes what jobs can be placed on."""
    connection.execute(_PUBLISH, {"own": epoch, "on": nodes, "used": usage})


def is_held(connection: Connection, epoch: int) -> bool:
    """Whether nobody has taken over, and nobody can before this transaction has ended."""
    return connection.execute(_HELD, {"own": epoch}).first() is not None


def _now(connection: Connection) -> float:
    return connection.exec_driver_sql(_CLOCK[connection.dialect.name]).scalar_one()


# Built once: composing a statement costs several times as much as executing it.
_MAKE = passing_over(lease, ["id"])
_CURRENT = select(lease).where(lease.c.id == 1)
_TAKE = (
    update(lease)
    .where(lease.c.id == 1, lease.c.until < bindparam("now"))
    .values(
        holder=bindparam("by"),
        machine=bindparam("on"),
        until=bindparam("end"),
        epoch=lease.c.epoch + 1,
    )
    .returning(lease.c.epoch)
)
_OWN = lease.c.epoch == bindparam("own")
_RENEW = update(lease).where(_OWN).values(until=bindparam("end"))
_PUBLISH = update(lease).where(_OWN).values(nodes=bindparam("on"), usage=bindparam("used"))
_HELD = select(lease.c.id).where(_OWN).with_for_update(read=True)
