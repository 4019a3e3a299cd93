"""Runs attempts on a Ray cluster: one Ray job each, whose process waits for the attempt's runner.

Ray refuses a second job of the same name, so that an attempt is there once, whoever asks for it.
"""

from __future__ import annotations

import json

from atlas_server.domain.berths import Need
from atlas_server.domain.ports import Executor, Handle, Launch, LaunchFailed, Observation
from atlas_server.executor_settings import RaySettings
from atlas_server.executors.cluster import ClusterExecutor, may_share, wishes_of
from atlas_server.executors.engine import Home
from atlas_server.executors.pilot import Waiting
from atlas_server.executors.ray_answers import Row, observation
from atlas_server.executors.ray_api import RayApi
from atlas_server.executors.ray_queue import RayQueue
from atlas_server.executors.ray_submission import RayJob, Request, job, told
from foundations.contract.spec import JobSpec
from foundations.errors import FoundationsError


class RayExecutor(ClusterExecutor[Row, RayJob]):
    """The executor of a Ray cluster."""

    def __init__(self, settings: RaySettings, home: Home, local: Executor) -> None:
        self._settings = settings
        self._home = home
        self._ray = RayQueue(settings, RayApi(settings, home.environment), home.prefix)
        super().__init__(settings, home, local, self._ray)

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Return why such a job cannot run there: Ray itself refuses none, but lets it wait."""
        return self._no_image(spec) or self._not_for_us(spec)

    def _order(self, launch: Launch, handle: Handle) -> RayJob:
        home, settings, assignment = self._home, self._settings, launch.assignment
        there = home.told_there(settings, handle)
        variables = {
            **home.variables_there(settings),
            "ATLAS_TOLD": told(assignment, there),
        }
        return job(
            handle,
            self._request(launch),
            settings.python or home.python,
            variables,
            job_id=launch.job_id,
            grace=assignment["grace"],
        )

    def _shared(self, launch: Launch, handle: Handle) -> Waiting | None:
        request, told = self._request(launch), self._told(launch.assignment, handle)
        if not may_share(told["spec"]) or request.gpus % 1:
            return None
        kind = tuple(sorted(f"{name}={value}" for name, value in (request.labels or {}).items()))
        need = Need(request.cpus, request.memory, int(request.gpus))
        return Waiting(handle, kind, need, told, lambda: self._submit(launch, handle))

    def _pilot(self, name: str, waiting: Waiting) -> RayJob:
        home, settings, size = self._home, self._settings, self._settings.pilots
        labels = dict(label.split("=", 1) for label in waiting.kind)
        charge = self._charge(name, waiting, self.pilots.claims.new(name))
        return job(
            name,
            Request(size.cpus, size.memory, size.gpus, labels),
            settings.python or home.python,
            {**home.variables_there(settings), "ATLAS_TOLD": json.dumps(charge)},
            job_id="pilot",
            grace=home.grace,
            program="anchor pilot",
        )

    def _request(self, launch: Launch) -> Request:
        allocation = launch.allocation
        if launch.recoveries:
            machine = self._ray.machine(allocation.node)
            if machine is None:
                raise LaunchFailed(f"Ray does not have the node {allocation.node} any more.")
            return Request(machine=machine.address)
        wishes = wishes_of(launch.assignment)
        return Request(
            allocation.cpus,
            allocation.memory,
            sum(share for _, share in allocation.gpus),
            wishes.get("node_labels"),
            wishes.get("node_resources"),
            nodes=launch.assignment["spec"].get("num_nodes", 1),
        )

    def _meaning(self, entry: Row) -> Observation:
        others = [self._ray.name_of(number) or "" for number in entry.others]
        return observation(entry, self._ray.name_of(entry.node), others)
