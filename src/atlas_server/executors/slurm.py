"""Runs attempts on a Slurm cluster: one batch job each, which is the attempt's runner."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from atlas_server.domain.ports import Executor, Handle, Launch, Observation
from atlas_server.executor_settings import SlurmSettings
from atlas_server.executors.cluster import ClusterExecutor, whole_gpus, wishes_of
from atlas_server.executors.engine import EngineAway, EngineRefused, Home
from atlas_server.executors.slurm_commands import SlurmCommands
from atlas_server.executors.slurm_queue import SlurmQueue, Submission
from atlas_server.executors.slurm_script import Request, amounts, options, script, wishes
from atlas_server.executors.slurm_tables import Row, observation
from foundations.contract.spec import JobSpec
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
        super().__init__(settings, home, local, SlurmQueue(settings, self._commands, home.prefix))

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Return why Slurm would refuse such a job, as Slurm itself says."""
        said = self._no_image(spec) or self._not_for_us(spec) or whole_gpus(spec, self.name)
        if said is not None:
            return said
        verdict = self._verdict(spec)
        if verdict is None:
            return None
        return Refused(
            f"{self.name} would refuse the job: {verdict}.",
            "Its partitions and what they have: foundations nodes, sinfo.",
        )

    def _order(self, launch: Launch, handle: Handle) -> Submission:
        words = ("sbatch", *options(self._request(launch, handle), self._settings))
        return Submission(handle, words, self._script(launch.assignment, handle))

    def _meaning(self, entry: Row) -> Observation:
        return observation(entry, f"{self.name}/")

    def _request(self, launch: Launch, handle: Handle) -> Request:
        spec, grace = launch.assignment["spec"], launch.assignment["grace"]
        cluster = wishes_of(launch.assignment)
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

    def _script(self, assignment: Mapping[str, Any], handle: Handle) -> str:
        home, settings = self._home, self._settings
        told = {**assignment, **home.told_there(settings, handle)}
        variables = home.variables_there(settings)
        log_file = f"{home.place(settings)}/logs/runners.log"
        return script(settings.python or home.python, told, variables, log_file)

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
