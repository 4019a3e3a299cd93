"""Runs attempts on a Slurm cluster: one batch job each, which is the attempt's runner.

Slurm chooses the node; the scheduler hands over as much as the cluster has room for in all. A
runner's handle is the name of its batch job, known before it is submitted: so it is found again
whatever happened to the server meanwhile.
"""

from __future__ import annotations

import logging
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.berths import Need
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
from atlas_server.executor_settings import SlurmSettings
from atlas_server.executors.engine import EngineAway, EngineRefused, Home
from atlas_server.executors.engine_queue import EngineQueue, Look
from atlas_server.executors.pilots import Pilots, Waiting
from atlas_server.executors.slurm_commands import SlurmCommands
from atlas_server.executors.slurm_queue import SlurmQueue, Submission
from atlas_server.executors.slurm_script import Request, amounts, options, script, wishes
from atlas_server.executors.slurm_tables import Row, observation
from foundations.contract.codec import plain
from foundations.contract.pilots import Charge
from foundations.contract.spec import JobSpec
from foundations.contract.states import StateReason
from foundations.contract.tokens import pilot_token
from foundations.errors import FoundationsError, Refused

log = logging.getLogger(__name__)

# How long what Slurm has said of a kind of job holds for the next ones of it.
_VERDICTS = 256
_RECOVERY = re.compile(r"-r[0-9]+$")
_OUT_OF_REACH = "The job's runner is gone, and nobody could look at what it left on its node."
# What a pilot is told of the server as the attempts are that it carries.
_OF_THE_SERVER = ("server", "instance", "home", "remote", "server_stays")
_MISSING = "Slurm does not know the job's runner any more."


class SlurmExecutor:
    """The executor of a Slurm cluster.

    `local` takes in what dead runners have left where the nodes share the server's home.
    """

    def __init__(self, settings: SlurmSettings, home: Home, local: Executor) -> None:
        self.name = settings.name
        self._settings = settings
        self._home = home
        self._local = local
        self._prefix = home.prefix
        self._commands = SlurmCommands(home.environment, settings.conf, settings.patience)
        engine = SlurmQueue(settings, self._commands, self._prefix)
        self._queue = EngineQueue(engine, settings.poll)
        self._verdicts: dict[tuple[str, ...], str | None] = {}
        self._pilot_prefix = f"{self._prefix}pilot-"
        self.pilots = Pilots(
            settings.pilots,
            home.secret,
            lambda: f"{self._pilot_prefix}{secrets.token_hex(4)}",
            self._start_pilot,
            lambda name: self._seen(self._queue.look(name)),
            lambda: self._queue.is_short(self._pilot_prefix),
        )

    def prepare(self, nearby: Nearby) -> None:
        """Look at the cluster, and go on looking."""
        self.pilots.prepare(nearby.changed)
        self._queue.start(nearby.changed)

    def close(self) -> None:
        """Look no more; what Slurm has goes on."""
        self._queue.close()

    def nodes(self) -> Sequence[Node]:
        """Return the cluster's nodes; none before Slurm has answered for the first time."""
        return self._queue.nodes

    def usage(self) -> Mapping[str, NodeLive]:
        """Return nothing: Slurm's nodes cannot be seen from here."""
        return {}

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Return why Slurm would refuse such a job, as Slurm itself says."""
        if spec.worker.get("image"):
            return Refused(
                f"The job names an image, and {self.name} runs jobs as processes.",
                "Submit it with --image none, or to an executor with a container engine.",
            )
        if spec.resources.gpus % 1:
            return Refused(
                f"The job asks for {spec.resources.gpus:g} of a GPU, and {self.name} gives whole"
                " ones.",
                "Ask for a whole number of GPUs.",
            )
        said = self._verdict(spec)
        if said is None:
            return None
        return Refused(
            f"{self.name} would refuse the job: {said}.",
            "Its partitions and what they have: foundations nodes, sinfo.",
        )

    def handle_of(self, attempt: int, recoveries: int) -> Handle | None:
        """Return the name of the batch job.

        Those who recover run beside the server, or, where the nodes share nothing with it, there.
        """
        if not recoveries:
            return f"{self._prefix}{attempt}"
        return None if self._settings.shared else f"{self._prefix}{attempt}-r{recoveries}"

    def launch(self, launch: Launch) -> Handle:
        """Have the attempt submitted; on shared files a recovery is a process beside the server."""
        handle = self.handle_of(launch.attempt, launch.recoveries)
        if handle is None:
            return self._local.launch(launch)
        told = {**launch.assignment, **self._home.told_there(self._settings, handle)}
        request = self._request(launch, handle)
        words = ("sbatch", *options(request, self._settings))
        order = Submission(handle, words, self._script(told))
        waiting = Waiting(
            handle, tuple(wishes(request, self._settings)), self._need(request), told,
            lambda: self._queue.submit(order),
        )  # fmt: skip
        if launch.recoveries or not _may_share(told["spec"]) or not self.pilots.put(waiting):
            waiting.alone()
        return handle

    def _need(self, request: Request) -> Need:
        limit = request.timeout
        seconds = None if limit is None else limit + self._settings.margin
        return Need(request.cpus, request.memory or 0, math.ceil(request.gpus), seconds)

    def _start_pilot(self, name: str, waiting: Waiting) -> None:
        size, grace, told = self._settings.pilots, self._home.grace, waiting.assignment
        cluster = told["spec"].get("cluster") or {}
        request = Request(
            name, "pilot", size.cpus, size.memory or None, size.gpus, None, cluster, grace
        )
        charge = Charge(
            name=name,
            executor=self.name,
            token=pilot_token(self._home.secret, name),
            kind=list(waiting.kind),
            cpus=size.cpus,
            memory=size.memory,
            gpus=size.gpus,
            idle=size.idle,
            life=size.life,
            grace=grace,
            **{key: told[key] for key in _OF_THE_SERVER},
        )
        words = ("sbatch", *options(request, self._settings))
        self._queue.submit(Submission(name, words, self._script(plain(charge), "pilot")))

    def _request(self, launch: Launch, handle: Handle) -> Request:
        spec, grace = launch.assignment["spec"], launch.assignment["grace"]
        cluster = spec.get("cluster") or {}
        allocation = launch.allocation
        if launch.recoveries:
            node = allocation.node.removeprefix(f"{self.name}/")
            where = {key: cluster[key] for key in ("partition", "account", "qos") if key in cluster}
            return Request(handle, launch.job_id, 1.0, None, 0.0, None, where, grace, node)
        gpus = sum(share for _, share in allocation.gpus)
        return Request(
            handle,
            launch.job_id,
            allocation.cpus,
            allocation.memory or None,
            gpus,
            spec["timeout"],
            cluster,
            grace,
        )

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
        """Have the runner told to end its worker, or the batch job cancelled where it waits."""
        if handle.startswith(self._prefix):
            if not self.pilots.stop(handle):
                self._queue.stop(handle, grace)
        else:
            self._local.stop(handle, grace=grace)

    def _observation(self, handle: Handle) -> Observation:
        look = self._queue.look(handle)
        seen = self._seen(look)
        if seen.life is Life.GONE and not seen.began and _RECOVERY.search(handle):
            # That its successor never ran says nothing of the attempt itself.
            lost = StateReason.LOST
            return replace(seen, began=True, reachable=False, reason=lost, message=_OUT_OF_REACH)
        return seen

    def _seen(self, look: Look[Row]) -> Observation:
        if look.refused is not None:
            reason = StateReason.STOP_REQUESTED if look.withdrawn else StateReason.START_FAILED
            return Observation(Life.GONE, began=False, reason=reason, message=look.refused)
        if look.row is not None:
            return observation(look.row, f"{self.name}/")
        if look.is_being_submitted:
            return WAITING
        if not look.is_complete:
            return UNKNOWN
        return Observation(Life.GONE, certain=False, message=_MISSING)

    def _script(self, told: Mapping[str, Any], program: str = "errand") -> str:
        home, settings = self._home, self._settings
        variables = home.variables_there(settings)
        log_file = f"{home.place(settings)}/logs/runners.log"
        return script(settings.python or home.python, told, variables, log_file, program)

    def _verdict(self, spec: JobSpec) -> str | None:
        """Return what Slurm says against such a job; None where it takes it, or is away."""
        asked = spec.resources
        request = Request(
            "", "", asked.cpus, asked.memory, asked.gpus, spec.timeout, spec.cluster,
            self._home.grace,
        )  # fmt: skip
        key = (*amounts(request, self._settings), *wishes(request, self._settings))
        if key not in self._verdicts:
            words = ("sbatch", "--test-only", "--nodes=1", "--ntasks=1", "--chdir=/", *key)
            try:
                self._commands.run(words, "#!/bin/sh\n")
                said = None
            except EngineRefused as refusal:
                said = str(refusal)
            except EngineAway as trouble:
                log.warning("Slurm could not be asked about a job: %s", trouble)
                return None
            if len(self._verdicts) >= _VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = said
        # A refusal is asked again next time: partitions come and go.
        said = self._verdicts[key]
        if said is not None:
            del self._verdicts[key]
        return said


def _may_share(spec: Mapping[str, Any]) -> bool:
    """Whether a job is content with a part of what a pilot holds."""
    cluster: Mapping[str, Any] = spec.get("cluster") or {}
    own = cluster.get("sbatch") or cluster.get("pilot") is False
    return not own and not (spec.get("worker") or {}).get("image")
