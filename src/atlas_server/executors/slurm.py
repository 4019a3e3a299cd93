"""Runs attempts on a Slurm cluster: one batch job each, which is the attempt's runner."""

from __future__ import annotations

import logging
import math

from atlas_server.domain.berths import Need
from atlas_server.domain.ports import Executor, Handle, Launch, Observation
from atlas_server.executor_settings import SlurmSettings
from atlas_server.executors.cluster import ClusterExecutor, may_share, whole_gpus, wishes_of
from atlas_server.executors.engine import EngineAway, EngineRefused, Home
from atlas_server.executors.pilot import Waiting
from atlas_server.executors.slurm_arrays import Submission
from atlas_server.executors.slurm_commands import SlurmCommands
from atlas_server.executors.slurm_queue import SlurmQueue
from atlas_server.executors.slurm_script import Program, Request, amounts, options, tasks, wishes
from atlas_server.executors.slurm_tables import Row, observation
from foundations.contract.spec import JobSpec
from foundations.contract.tokens import pilot_token
from foundations.errors import FoundationsError, Refused

log = logging.getLogger(__name__)

# How long what Slurm has said of a kind of job holds for the next ones of it.
_VERDICTS = 256


class SlurmExecutor(ClusterExecutor[Row, Submission]):
    """The executor of a Slurm cluster."""

    def __init__(self, settings: SlurmSettings, home: Home, local: Executor) -> None:
        self._settings = settings
        self._home = home
        self._commands = SlurmCommands(home.environment, settings.conf, settings.patience)
        self._verdicts: dict[tuple[str, ...], str | None] = {}
        engine = SlurmQueue(settings, self._commands, home.prefix)
        super().__init__(settings, home, local, engine)

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Return why Slurm would refuse such a job, as Slurm itself says."""
        said = (
            self._no_image(spec)
            or self._one_node_or_shared(spec)
            or self._not_for_us(spec)
            or whole_gpus(spec, self.name)
        )
        if said is not None:
            return said
        verdict = self._verdict(spec)
        if verdict is None:
            return None
        return Refused(
            f"{self.name} would refuse the job: {verdict}.",
            "Its partitions and what they have: foundations nodes, sinfo.",
        )

    def _one_node_or_shared(self, spec: JobSpec) -> FoundationsError | None:
        if self._settings.shared or spec.num_nodes == 1:
            return None
        return Refused(
            f"The job asks for {spec.num_nodes} nodes, which have to see the same files; those of"
            f" {self.name} share none with the server.",
            "Leave `num_nodes` out, or give the nodes a file system in common.",
        )

    def _order(self, launch: Launch, handle: Handle) -> Submission:
        asked = tuple(options(self._request(launch), self._settings))
        told = self._told(launch.assignment, handle)
        # Who takes in what a dead one has left goes to a node of its own.
        attempt = None if launch.recoveries else launch.attempt
        return Submission(handle, launch.job_id, asked, self._program(), told, attempt)

    def _shared(self, launch: Launch, handle: Handle) -> Waiting | None:
        request, told = self._request(launch), self._told(launch.assignment, handle)
        if not may_share(told["spec"]):
            return None
        limit = request.timeout
        seconds = None if limit is None else limit + self._settings.margin
        need = Need(request.cpus, request.memory or 0, math.ceil(request.gpus), seconds)
        kind = tuple(wishes(request, self._settings))
        return Waiting(handle, kind, need, told, lambda: self._submit(launch, handle))

    def _pilot(self, name: str, waiting: Waiting) -> Submission:
        size, grace = self._settings.pilots, self._home.grace
        memory = size.memory or None
        request = Request(size.cpus, memory, size.gpus, None, {}, grace)
        charge = self._charge(name, waiting, pilot_token(self._home.secret, name))
        asked = tuple(options(request, self._settings, waiting.kind))
        return Submission(name, "pilot", asked, self._program("pilot"), charge)

    def _meaning(self, entry: Row) -> Observation:
        return observation(entry, f"{self.name}/")

    def _request(self, launch: Launch) -> Request:
        spec, grace = launch.assignment["spec"], launch.assignment["grace"]
        cluster = wishes_of(launch.assignment)
        allocation = launch.allocation
        if launch.recoveries:
            node = allocation.node.removeprefix(f"{self.name}/")
            where = {key: cluster[key] for key in ("partition", "account", "qos") if key in cluster}
            return Request(1.0, None, 0.0, None, where, grace, node)
        gpus = sum(share for _, share in allocation.gpus)
        prefix = f"{self.name}/"
        avoid = [name.removeprefix(prefix) for name in launch.avoid if name.startswith(prefix)]
        return Request(
            allocation.cpus,
            allocation.memory or None,
            gpus,
            spec["timeout"],
            cluster,
            grace,
            avoid=tuple(avoid),
            nodes=spec.get("num_nodes", 1),
        )

    def _program(self, module: str = "errand") -> Program:
        home, settings = self._home, self._settings
        variables = home.variables_there(settings)
        log_file = f"{home.place(settings)}/logs/runners.log"
        return Program(settings.python or home.python, variables, log_file, module)

    def _verdict(self, spec: JobSpec) -> str | None:
        """Return what Slurm says against such a job; None where it takes it, or is away."""
        asked = spec.resources
        request = Request(
            asked.cpus, asked.memory, asked.gpus, spec.timeout, spec.cluster, self._home.grace
        )
        key = (
            *tasks(spec.num_nodes),
            *amounts(request, self._settings),
            *wishes(request, self._settings),
        )
        if key not in self._verdicts and self._queue.is_away:
            return None
        if key not in self._verdicts:
            words = ("sbatch", "--test-only", "--chdir=/", *key)
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
