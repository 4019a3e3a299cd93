"""Where jobs run: the executors that the settings name."""

from __future__ import annotations

from collections.abc import Iterator

from atlas_server.config import ServerConfig, environment
from atlas_server.doctor.findings import FAILURE, OK, WARNING, Finding, Look, size
from atlas_server.executor_settings import LocalSettings, RaySettings, SlurmSettings
from atlas_server.executors.engine import EngineAway, EngineRefused
from atlas_server.executors.inventory import DeclaredInventory, Inventory
from atlas_server.executors.ray_api import NotThere, RayApi
from atlas_server.executors.slurm_commands import SlurmCommands


def checks(config: ServerConfig) -> Iterator[tuple[str, Look]]:
    """Yield what is looked at."""
    if not config.schedules:
        return
    for settings in config.executors:
        if isinstance(settings, LocalSettings):
            yield settings.name, lambda: _local(config)
        elif isinstance(settings, SlurmSettings):
            yield settings.name, lambda settings=settings: _slurm(config, settings)
        else:
            yield settings.name, lambda settings=settings: _ray(config, settings)


def _local(config: ServerConfig) -> Finding:
    # The GPUs are looked at elsewhere.
    node = Inventory(DeclaredInventory(config.cpus, config.memory, 0)).node
    return Finding(OK, f"this machine, {node.cpus:g} CPUs and {size(node.memory)} of memory")


def _slurm(config: ServerConfig, settings: SlurmSettings) -> Finding:
    commands = SlurmCommands(environment(config), settings.conf, settings.patience)
    hint = "Atlas runs sbatch, squeue, sacct and sinfo as you: docs/scaling.md"
    try:
        version = commands.run(["sbatch", "--version"]).strip()
        lines = commands.run(["sinfo", "--noheader", "--format=%D %T"]).splitlines()
    except EngineAway as error:
        return Finding(FAILURE, str(error), f"Is slurmctld up, and munge? {hint}")
    except EngineRefused as error:
        return Finding(FAILURE, str(error), hint)
    states = ", ".join(" ".join(line.split()) for line in lines)
    if not states:
        return Finding(WARNING, f"{version}; no node", "sinfo shows partitions and their nodes.")
    return Finding(OK, f"{version}; nodes: {states}")


def _ray(config: ServerConfig, settings: RaySettings) -> Finding:
    hint = "Is `address` that of the cluster's dashboard, and its token right? docs/scaling.md"
    try:
        said = RayApi(settings, environment(config)).ask("GET", "/api/version")
    except (EngineAway, EngineRefused) as error:
        return Finding(FAILURE, str(error), hint)
    except NotThere:
        return Finding(FAILURE, f"{settings.address} is not Ray's dashboard", hint)
    return Finding(OK, f"Ray {said.get('ray_version', 'of an unknown version')} answers")
