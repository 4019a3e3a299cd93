"""Where one demand fits while one decision is made, best first, without looking at all nodes anew.

After each start one node alone is another. So what fits where is looked at once for each kind of
job, and after that only where something has been put since.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from atlas_server.domain.resources import Demand
from atlas_server.domain.spots import Spot, Way
from atlas_server.domain.wishes import Wish

_Entry = tuple[tuple[int, int, float], int, int, Spot]


class Fits:
    """The spots, all of a round, where a demand fits that one node can hold.

    `log` has the spots on which something was put, in the order in which that was done.
    """

    def __init__(
        self, spots: Sequence[Spot], log: Sequence[Spot], demand: Demand, wish: Wish
    ) -> None:
        self._demand = demand
        self._wish = wish
        self._log = log
        self._read = len(log)
        self._heap: list[_Entry] = [self._entry(spot) for spot in spots if self._takes(spot)]
        heapq.heapify(self._heap)

    def best(self, end: float | None) -> Way | None:
        """Return the best fit for what ends then, of equal ones the first of the round."""
        self._catch_up()
        passed: list[_Entry] = []
        found: Way | None = None
        while self._heap and found is None:
            _, _, changes, spot = self._heap[0]
            if changes != spot.changes:
                heapq.heappop(self._heap)
            elif (held := spot.way_in(self._demand, end)) is not None:
                found = spot, held
            else:
                passed.append(heapq.heappop(self._heap))
        for entry in passed:
            heapq.heappush(self._heap, entry)
        return found

    @property
    def is_empty(self) -> bool:
        """Whether it fits nowhere, where `best` has found nothing."""
        return not self._heap

    def _catch_up(self) -> None:
        changed = {spot.number: spot for spot in self._log[self._read :]}
        self._read = len(self._log)
        for spot in changed.values():
            if self._takes(spot):
                heapq.heappush(self._heap, self._entry(spot))

    def _takes(self, spot: Spot) -> bool:
        return spot.free.fits(self._demand) and self._wish.allows(spot.free.node)

    def _entry(self, spot: Spot) -> _Entry:
        return spot.free.leftover(self._demand), spot.number, spot.changes, spot
