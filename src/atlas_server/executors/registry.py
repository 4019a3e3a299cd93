"""The executors that the configuration names, together."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from atlas_server.config import ServerConfig, environment, without_secrets
from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.ports import Executor, Nearby, PilotDesk
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import LocalSettings, RaySettings, Settings
from atlas_server.executors.cluster import ClusterExecutor
from atlas_server.executors.engine import Home
from atlas_server.executors.inventory import DeclaredInventory
from atlas_server.executors.local import LocalExecutor
from atlas_server.executors.ray import RayExecutor
from atlas_server.executors.slurm import SlurmExecutor
from foundations.contract.environment import TOKEN

# How the server gets into a Ray cluster; jobs of this machine need not.
RAY_SECRETS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class Fleet:
    """All executors of a server: jobs are placed on those that are `offered`, by name.

    `local` is there in any case: it takes in what others leave, and looks after what it has begun
    before it was taken out of the configuration.
    """

    def __init__(self, configured: tuple[Settings, ...], home: Home, local: LocalExecutor) -> None:
        self.local = local
        self.offered: Mapping[str, Executor] = {
            settings.name: _executor(settings, home, local) for settings in configured
        }
        self.pilots: Mapping[str, PilotDesk] = {
            name: executor.pilots
            for name, executor in self.offered.items()
            if isinstance(executor, ClusterExecutor)
        }
        self.executors: Mapping[str, Executor] = {local.name: local, **self.offered}

    def prepare(self, nearby: Nearby) -> None:
        """Get all of them ready."""
        for executor in self.executors.values():
            executor.prepare(nearby)

    def close(self) -> None:
        """End what serves the server alone."""
        for executor in reversed(list(self.executors.values())):
            executor.close()

    def nodes(self) -> Sequence[Node]:
        """Return every node that jobs can be placed on."""
        return [node for executor in self.offered.values() for node in executor.nodes()]

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on at those that can be seen from here."""
        return {
            name: live
            for executor in self.offered.values()
            for name, live in executor.usage().items()
        }


def _executor(settings: Settings, home: Home, local: LocalExecutor) -> Executor:
    if isinstance(settings, LocalSettings):
        return local
    if isinstance(settings, RaySettings):
        return RayExecutor(settings, home, local)
    return SlurmExecutor(settings, home, local)


def make_fleet(config: ServerConfig, umask: int, instance: str, secret: str) -> Fleet:
    """Return the executors of a configuration; `umask` is the one that jobs get.

    `secret` is the server's own.
    """
    declared = DeclaredInventory(
        config.cpus, config.memory, config.gpus, config.visible_gpus, config.gpu_check
    )
    home, inherited = _home(config, umask, instance, secret)
    return Fleet(config.executors, home, LocalExecutor(declared, inherited, str(config.home)))


def clusters_of(
    config: ServerConfig, umask: int, instance: str, secret: str
) -> Mapping[str, Executor]:
    """Return executors of clusters that are asked what they would refuse, and nothing else."""
    home, inherited = _home(config, umask, instance, secret)
    local = LocalExecutor(DeclaredInventory(gpus=0), inherited)
    configured = [each for each in config.executors if not isinstance(each, LocalSettings)]
    return {each.name: _executor(each, home, local) for each in configured}


def _home(
    config: ServerConfig, umask: int, instance: str, secret: str
) -> tuple[Home, dict[str, str]]:
    """Return what runners share with the server, and the environment of those on this machine."""
    inherited = without_secrets(environment(config, ATLAS_UMASK=f"{umask:03o}"))
    # That of whoever has started the server: none of the jobs' business.
    inherited.pop(TOKEN, None)
    variables = {name: inherited[name] for name in ("FOUNDATIONS_HOME", "ATLAS_UMASK")}
    ours = dict(inherited)
    for name in RAY_SECRETS:
        inherited.pop(name, None)
    home = Home(
        path=str(config.home),
        python=sys.executable,
        instance=instance,
        environment=ours,
        variables=variables,
        grace=config.grace,
        secret=secret,
    )
    return home, inherited
