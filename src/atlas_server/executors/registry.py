"""Makes the executors that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping

from atlas_server.domain.ports import Executor
from atlas_server.executor_settings import LocalSettings, Settings
from atlas_server.executors.local import LocalExecutor
from atlas_server.executors.slurm import Home, SlurmExecutor


def make_executors(
    configured: tuple[Settings, ...], home: Home, local: LocalExecutor
) -> Mapping[str, Executor]:
    """Return the executors that jobs can be placed on, by name, in the order of `configured`."""
    found: dict[str, Executor] = {}
    for settings in configured:
        if isinstance(settings, LocalSettings):
            found[settings.name] = local
        else:
            found[settings.name] = SlurmExecutor(settings, home, local)
    return found
