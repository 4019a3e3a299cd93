"""Runs attempts on this machine, as processes that outlive the server.

Runners are forked from a small server process that has their modules loaded: a new interpreter
for each would cost more than many jobs take. When a runner ends, its pidfd wakes the scheduler.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

from atlas_runner.exits import ExitWatch
from atlas_runner.forking import ForkServer, NotForked
from atlas_runner.limits import sweep as remove_memory_groups
from atlas_runner.process import process_alive
from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.ports import (
    ALIVE,
    GONE,
    Handle,
    Launch,
    LaunchFailed,
    Nearby,
    Observation,
)
from atlas_server.domain.resources import Node
from atlas_server.executors.cluster import not_for
from atlas_server.executors.inventory import DeclaredInventory, Inventory
from atlas_server.executors.usage import UsageMeter
from foundations.contract.spec import JobSpec
from foundations.errors import FoundationsError, Refused


class LocalExecutor:
    """The executor of a single machine.

    `environment` is what runners get, ATLAS_UMASK in it; `home` is where jobs' files are.
    """

    name = "local"

    def __init__(
        self, declared: DeclaredInventory, environment: Mapping[str, str], home: str = "/"
    ) -> None:
        self._machine = Inventory(declared)
        self._meter = UsageMeter(home)
        self._forks = ForkServer(environment)
        self._exits = ExitWatch()
        self._with_gpus: set[Handle] = set()

    def prepare(self, nearby: Nearby) -> None:
        """Get ready to start runners quickly."""

        def runner_ended(handle: Handle) -> None:
            if handle in self._with_gpus:
                self._with_gpus.discard(handle)
                self._machine.doubt_gpus()
            nearby.ended(handle)

        remove_memory_groups(process_alive)
        self._exits.start(runner_ended)
        self._forks.start()
        self._machine.start(nearby.changed)

    def nodes(self) -> Sequence[Node]:
        """Return this machine."""
        return (self._machine.node,)

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on at this machine."""
        node = self._machine.node
        return {node.name: self._meter.usage(gpus=any(gpu.memory for gpu in node.gpus))}

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Refuse what only a cluster understands."""
        if spec.num_nodes > 1:
            return Refused(
                f"The job asks for {spec.num_nodes} nodes, and this machine is one.",
                "Leave `num_nodes` out, or submit it to a server with a cluster.",
            )
        key = next((each for each in spec.cluster if each != "pilot"), None)
        if key is None:
            return None
        return not_for(key, "this machine has not")

    def handle_of(self, attempt: int, recoveries: int) -> Handle | None:
        """Return None: processes get their numbers when they start."""
        del attempt, recoveries
        return None

    def launch(self, launch: Launch) -> Handle:
        """Fork a runner and hand it its assignment."""
        try:
            handle = self._forks.fork(launch.assignment)
        except NotForked as error:
            raise LaunchFailed(str(error)) from error
        if launch.allocation.gpus:
            self._with_gpus.add(handle)
        self._exits.watch(handle)
        return handle

    def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Observation]:
        """Tell the living from the gone; what is alive is watched from now on."""
        found = {}
        for handle in handles:
            alive = process_alive(handle)
            found[handle] = ALIVE if alive else GONE
            if alive:
                self._exits.watch(handle)
        return found

    def stop(self, handle: Handle, *, grace: float) -> None:
        """Send the runner SIGTERM: it ends its worker within its own grace period."""
        del grace  # the runner was told its grace when it was launched
        if process_alive(handle):
            try:
                os.kill(int(handle.split(":")[0]), signal.SIGTERM)
            except ProcessLookupError:
                return

    def close(self) -> None:
        """End the fork server; its runners go on."""
        self._machine.close()
        self._forks.close()
        self._exits.close()
