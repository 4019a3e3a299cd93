"""Runs attempts in an engine that owns machines and chooses among them.

The scheduler hands over as much as the cluster has room for in all. A runner's handle is the name
of what is submitted, known before it is: so it is found again whatever happened to the server
meanwhile.
"""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.ports import (
    UNKNOWN,
    WAITING,
    Executor,
    Handle,
    Launch,
    Life,
    Nearby,
    Observation,
)
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import ClusterSettings
from atlas_server.executors.engine import Engine, EntryT, Home, Order
from atlas_server.executors.engine_queue import EngineQueue, Look
from atlas_server.executors.pilot import Waiting
from atlas_server.executors.pilots import Pilots
from foundations.contract.cluster import KEYS_OF
from foundations.contract.codec import plain
from foundations.contract.pilots import Charge
from foundations.contract.spec import JobSpec
from foundations.contract.states import StateReason
from foundations.errors import FoundationsError, Refused

_RECOVERY = re.compile(r"-r[0-9]+$")
# What a pilot is told of the server as the attempts are that it carries.
_OF_THE_SERVER = ("server", "instance", "home", "remote", "server_stays")
_OUT_OF_REACH = "The job's runner is gone, and nobody could look at what it left on its node."

_OrderT = TypeVar("_OrderT", bound=Order)


class ClusterExecutor(ABC, Generic[EntryT, _OrderT]):
    """What executors of engines have in common.

    `local` takes in what dead runners have left where the nodes share the server's home.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        home: Home,
        local: Executor,
        engine: Engine[EntryT, _OrderT],
    ) -> None:
        self.name = settings.name
        self._cluster = settings
        self._home = home
        self._shares_files = settings.shared
        self._prefix = home.prefix
        self._local = local
        self._engine = engine
        self._queue = EngineQueue(engine, settings.poll)
        self._pilot_prefix = f"{self._prefix}pilot-"
        self.pilots = Pilots(
            settings.pilots,
            home.secret,
            lambda: f"{self._pilot_prefix}{secrets.token_hex(4)}",
            lambda name, waiting: self._queue.submit(self._pilot(name, waiting)),
            lambda name: self._seen(self._queue.look(name)),
            lambda: self._queue.is_short(self._pilot_prefix),
        )

    @abstractmethod
    def _order(self, launch: Launch, handle: Handle) -> _OrderT:
        """Return what is to be submitted; may raise LaunchFailed."""

    def _shared(self, launch: Launch, handle: Handle) -> Waiting | None:
        """Return an attempt as it is for a pilot; None where it is for none."""
        del launch, handle
        return None

    def _pilot(self, name: str, waiting: Waiting) -> _OrderT:
        """Return what is to be submitted as a pilot that may carry this attempt."""
        raise NotImplementedError

    def _charge(self, name: str, waiting: Waiting, token: str) -> dict[str, Any]:
        """Return what a pilot is told, which shows the server this token."""
        size, told = self._cluster.pilots, waiting.assignment
        charge = Charge(
            name=name,
            executor=self.name,
            token=token,
            kind=list(waiting.kind),
            cpus=size.cpus,
            memory=size.memory,
            gpus=size.gpus,
            idle=size.idle,
            life=size.life,
            grace=self._home.grace,
            **{key: told[key] for key in _OF_THE_SERVER},
        )
        return plain(charge)

    def _told(self, assignment: Mapping[str, Any], handle: Handle) -> dict[str, Any]:
        return {**assignment, **self._home.told_there(self._cluster, handle)}

    @abstractmethod
    def _meaning(self, entry: EntryT) -> Observation:
        """Return what the engine's word says of a runner."""

    @abstractmethod
    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Return why the engine would refuse such a job."""

    def prepare(self, nearby: Nearby) -> None:
        """Look at the cluster, and go on looking."""
        self.pilots.prepare(nearby.changed)
        self._queue.start(nearby.changed)

    def close(self) -> None:
        """Look no more; what the engine has goes on."""
        self._queue.close()

    def nodes(self) -> Sequence[Node]:
        """Return the cluster's nodes; none before it has answered for the first time."""
        return self._queue.nodes

    def usage(self) -> Mapping[str, NodeLive]:
        """Return nothing: the nodes cannot be seen from here."""
        return {}

    def handle_of(self, attempt: int, recoveries: int) -> Handle | None:
        """Return what the runner is called in the engine.

        Those who recover run beside the server, or, where the nodes share nothing with it, there.
        """
        if not recoveries:
            return f"{self._prefix}{attempt}"
        return None if self._shares_files else f"{self._prefix}{attempt}-r{recoveries}"

    def launch(self, launch: Launch) -> Handle:
        """Have the attempt submitted; on shared files a recovery is a process beside the server."""
        handle = self.handle_of(launch.attempt, launch.recoveries)
        if handle is None:
            return self._local.launch(launch)
        waiting = None if launch.recoveries else self._shared(launch, handle)
        if waiting is None or not self.pilots.put(waiting):
            self._submit(launch, handle)
        return handle

    def _submit(self, launch: Launch, handle: Handle) -> None:
        self._queue.submit(self._order(launch, handle))

    def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Observation]:
        """Return what the last look has found."""
        ours = [handle for handle in handles if handle.startswith(self._prefix)]
        pilots = self.pilots.expect(set(ours), self._queue.named(self._pilot_prefix))
        carried = {handle: self.pilots.look(handle) for handle in ours}
        found = {handle: seen or self._observation(handle) for handle, seen in carried.items()}
        self._queue.expect(pilots | {handle for handle, seen in carried.items() if seen is None})
        others = [handle for handle in handles if handle not in found]
        return {**found, **self._local.observe(others)}

    def stop(self, handle: Handle, *, grace: float) -> None:
        """Have the runner told to end its worker, or withdrawn where it waits."""
        if handle.startswith(self._prefix):
            if not self.pilots.stop(handle):
                self._queue.stop(handle, grace)
        else:
            self._local.stop(handle, grace=grace)

    def _no_image(self, spec: JobSpec) -> FoundationsError | None:
        if not spec.worker.get("image"):
            return None
        return Refused(
            f"The job names an image, and {self.name} runs jobs as processes.",
            "Submit it with --image none, or to an executor with a container engine.",
        )

    def _not_for_us(self, spec: JobSpec) -> FoundationsError | None:
        """Refuse what only another kind of cluster understands."""
        wanted = KEYS_OF[self._engine.name.lower()]
        for key in spec.cluster:
            if key not in wanted and key != "pilot":
                return not_for(key, f"{self.name} has not")
        return None

    def _observation(self, handle: Handle) -> Observation:
        seen = self._seen(self._queue.look(handle))
        if seen.life is Life.GONE and not seen.began and _RECOVERY.search(handle):
            # That its successor never ran says nothing of the attempt itself.
            lost = StateReason.LOST
            return replace(seen, began=True, reachable=False, reason=lost, message=_OUT_OF_REACH)
        return seen

    def _seen(self, look: Look[EntryT]) -> Observation:
        if look.refused is not None:
            reason = StateReason.STOP_REQUESTED if look.withdrawn else StateReason.START_FAILED
            return Observation(Life.GONE, began=False, reason=reason, message=look.refused)
        if look.row is not None:
            return self._meaning(look.row)
        if look.is_being_submitted:
            return WAITING
        if not look.is_complete:
            return UNKNOWN
        missing = f"{self._engine.name} does not know the job's runner any more."
        return Observation(Life.GONE, certain=False, message=missing)


def whole_gpus(spec: JobSpec, name: str) -> FoundationsError | None:
    """Refuse a part of a GPU."""
    if not spec.resources.gpus % 1:
        return None
    return Refused(
        f"The job asks for {spec.resources.gpus:g} of a GPU, and {name} gives whole ones.",
        "Ask for a whole number of GPUs.",
    )


def not_for(key: str, who: str) -> FoundationsError:
    """Refuse a job that asks for something of a kind of cluster; `who` has not got it."""
    kind = next(kind for kind, keys in KEYS_OF.items() if key in keys)
    return Refused(
        f"The job asks for a {key}, which {who}: that is for {kind.capitalize()}.",
        f"Remove `{key}`, or name the executor that has it: --executor NAME.",
    )


def wishes_of(assignment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an assignment's job says of the cluster."""
    return assignment["spec"].get("cluster") or {}


def may_share(spec: Mapping[str, Any]) -> bool:
    """Whether a job is content with a part of what a pilot holds."""
    cluster: Mapping[str, Any] = spec.get("cluster") or {}
    own = cluster.get("sbatch") or cluster.get("node_resources") or cluster.get("pilot") is False
    alone = own or spec.get("num_nodes", 1) > 1 or (spec.get("worker") or {}).get("image")
    return not alone
