"""One pilot as the server knows it, and what waits for one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atlas_server.domain.berths import Kind, Need, Room
from atlas_server.domain.ports import Handle
from foundations.contract.pilots import Berth


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt that waits for a pilot; `alone` has it run without one."""

    handle: Handle
    kind: Kind
    need: Need
    assignment: Mapping[str, Any]
    alone: Callable[[], None]

    @property
    def berth(self) -> Berth:
        """What a pilot is told of it."""
        need = self.need
        return Berth(self.handle, dict(self.assignment), need.cpus, need.memory, need.gpus)


@dataclass(slots=True)
class Pilot:
    """What is known of one.

    `promised` are needs of attempts that wait and count on it; `given` what it was handed and has
    not confirmed; `carried` all that it was handed, and is not over; `gone` those of them whose
    runners have ended; `stops` those that it is to be told to end. `freed_at` is when one was last
    over, by the monotonic clock.
    """

    name: str
    kind: Kind
    room: Room
    takes: bool = True
    node: str | None = None
    heard: float | None = None
    ends_at: float | None = None
    freed_at: float = -math.inf
    promised: dict[Handle, Need] = field(default_factory=dict)
    given: dict[Handle, Waiting] = field(default_factory=dict)
    carried: dict[Handle, Need] = field(default_factory=dict)
    gone: set[Handle] = field(default_factory=set)
    stops: set[Handle] = field(default_factory=set)
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def free(self, now: float) -> Room:
        """Return what further attempts may use."""
        left = self.room.left
        if self.ends_at is not None:
            left = max(0.0, self.ends_at - now)
        return self.room.less(self.carried.values(), left)

    def unpromised(self, now: float) -> Room:
        """Return what nobody counts on."""
        free = self.free(now)
        return free.less(self.promised.values(), free.left)

    def forget(self, expected: set[Handle], now: float) -> bool:
        """Let go of what is over; True where that has freed something."""
        over = self.carried.keys() - expected
        for handle in over:
            del self.carried[handle]
            self.given.pop(handle, None)
        self.gone &= expected
        self.stops &= expected
        if over:
            self.freed_at = now
        return bool(over)

    def wake(self) -> None:
        """Have its orders looked at again."""
        for wake in self.listeners:
            wake()
