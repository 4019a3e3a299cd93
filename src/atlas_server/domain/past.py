"""What users held lately: who has used much lets others go first.

The usage of the past decays exponentially, as in the fair-share factor of Slurm's multifactor
priority plugin (https://slurm.schedmd.com/priority_multifactor.html#fairshare). It is added to what
is held now, and the sum is compared by its dominant resource, as in dominant resource fairness
(Ghodsi et al., "Dominant Resource Fairness: Fair Allocation of Multiple Resource Types", NSDI
2011): see `queue.Standing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from atlas_server.domain.resources import Demand


class Stay(NamedTuple):
    """What a user held for a time; times in seconds since the epoch."""

    user: str
    amount: Demand
    began: float
    ended: float


class Past:
    """The average of what each user held, a moment counting half as much every `half_life` seconds.

    A user who has held an amount for very long comes to that amount. Nothing counts where
    `half_life` is 0.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._users: dict[str, tuple[float, tuple[float, float, float]]] = {}

    @property
    def horizon(self) -> float:
        """What ended so many seconds ago does not count any more."""
        return 10 * self._half_life

    def add(self, stay: Stay) -> None:
        """Count what is over, in any order."""
        if self._half_life <= 0:
            return
        at, amounts = self._users.get(stay.user, (stay.ended, (0.0, 0.0, 0.0)))
        now = max(at, stay.ended)
        kept, added = self._left(now - at), self._part(stay, now)
        cpus, memory, gpus = (
            old * kept + new * added for old, new in zip(amounts, stay.amount, strict=True)
        )
        self._users[stay.user] = (now, (cpus, memory, gpus))

    def at(self, now: float, going_on: Iterable[Stay]) -> dict[str, Demand]:
        """What counts of every user, with what they still hold (`ended` is then `now`)."""
        if self._half_life <= 0:
            return {}
        totals: dict[str, list[float]] = {}
        for user, (since, amounts) in list(self._users.items()):
            kept = self._left(now - since)
            totals[user] = [amount * kept for amount in amounts]
        for stay in going_on:
            part = self._part(stay, now)
            total = totals.setdefault(stay.user, [0.0, 0.0, 0.0])
            for index, amount in enumerate(stay.amount):
                total[index] += amount * part
        return {user: Demand(*map(int, total)) for user, total in totals.items()}

    def forget_before(self, now: float) -> None:
        """Drop users who held nothing for so long that it counts for nothing."""
        limit = now - self.horizon
        self._users = {user: kept for user, kept in self._users.items() if kept[0] > limit}

    def _left(self, seconds: float) -> float:
        return 0.5 ** (max(seconds, 0.0) / self._half_life)

    def _part(self, stay: Stay, now: float) -> float:
        """The integral of the decay over the stay: 1 for one from ever to now."""
        return max(self._left(now - stay.ended) - self._left(now - stay.began), 0.0)
