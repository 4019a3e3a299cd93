"""The environments that runners have built on this machine, for whoever tidies up."""

from __future__ import annotations

from pathlib import Path

from atlas_runner.old_environments import old_environments, remove_environment, remove_remains
from atlas_server.domain.freed import Freed


def sweep_environments(home: Path, unused_since: float, *, dry: bool = False) -> Freed:
    """Delete environments that were used last before `unused_since`, in seconds since the epoch.

    With `dry` say only what would go.
    """
    freed = Freed()
    for old in list(old_environments(home, unused_since)):
        if dry or remove_environment(old.place, unused_since):
            freed += Freed(1, old.size)
    if not dry:
        remove_remains(home)
    return freed
