"""Whether the server can do its work, and why not."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from atlas_server.store.engine import Store
from atlas_server.store.probe import trouble

LEAST_FREE = 256 * 1024**2
"""Bytes below which the disk counts as full: what is running has to be written down yet."""
_LONGEST_STEP = 90.0


class Alive(Protocol):
    """A thread that says when it last began to look."""

    def last_look(self) -> float | None:
        """Return that by the monotonic clock; None: it has ended."""
        ...


class Health:
    """Looks at what every request needs: database, disk, scheduler."""

    def __init__(self, store: Store, home: Path, scheduler: Alive) -> None:
        self._store = store
        self._home = home
        self._scheduler = scheduler

    def problems(self) -> dict[str, str | None]:
        """Return of each thing what is wrong with it; None: nothing."""
        looks: dict[str, Callable[[], str | None]] = {
            "database": lambda: trouble(self._store),
            "disk": self._disk,
            "scheduler": self._scheduling,
        }
        return {name: look() for name, look in looks.items()}

    def free_bytes(self) -> int:
        """Return how much the disk of this home can still take."""
        return shutil.disk_usage(self._home).free

    def _disk(self) -> str | None:
        try:
            free = self.free_bytes()
        except OSError as error:
            return f"the disk cannot be looked at: {error.strerror}"
        return f"only {free // 1024**2} MB of the disk are free" if free < LEAST_FREE else None

    def _scheduling(self) -> str | None:
        looked = self._scheduler.last_look()
        if looked is None:
            return "the scheduler has ended"
        silent = time.monotonic() - looked
        return f"the scheduler is stuck for {silent:.0f} s" if silent > _LONGEST_STEP else None
