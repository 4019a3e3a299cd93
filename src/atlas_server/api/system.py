"""Endpoints of the server as such: health, resources, queue, projects, runners."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse, Response

from atlas_server.domain.resources import Allocation, Node
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.jobs import Jobs
from atlas_server.services.runners import Runners
from atlas_server.services.views import Views
from foundations._version import __version__
from foundations.contract.codec import plain
from foundations.contract.report import Report
from foundations.contract.version import API_VERSION
from foundations.errors import WrongServer

_SHOWN_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this server is: its home, the ID that it keeps wherever it listens, when it started."""

    home: str
    instance: str
    started_at: float


class SystemRoutes:
    """The endpoints, and what they work with."""

    def __init__(
        self, identity: Identity, jobs: Jobs, views: Views, runners: Runners, scheduler: Scheduler
    ) -> None:
        self._identity = identity
        self._jobs = jobs
        self._views = views
        self._runners = runners
        self._scheduler = scheduler

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(tags=["system"])
        add = router.add_api_route
        add("/health", self.health, methods=["GET"])
        add("/server", self.server, methods=["GET"])
        add("/queue", self.queue, methods=["GET"])
        add("/queue", self.clear_queue, methods=["DELETE"])
        add("/projects", self.projects, methods=["GET"])
        add("/runner/report", self.report, methods=["POST"])
        return router

    def health(self) -> dict[str, Any]:
        """Tell who answers here."""
        return {
            "version": __version__,
            "api": API_VERSION,
            "home": self._identity.home,
            "pid": os.getpid(),
            "started_at": self._identity.started_at,
        }

    def server(self) -> dict[str, Any]:
        """Return nodes, what is in use on them, and the number of jobs in each state."""
        held = self._scheduler.allocations()
        nodes = [_described(node, held) for node in self._scheduler.nodes()]
        return {
            "version": __version__,
            "home": self._identity.home,
            "nodes": nodes,
            "jobs": self._views.counts(),
        }

    def queue(self) -> Response:
        """Return the running jobs and the waiting ones, in the order of their turns."""
        total, waiting = self._scheduler.waiting(_SHOWN_WAITING)
        known = self._views.by_ids(job_id for job_id, _ in waiting)
        rows = [
            {**self._views.plain_row(known[job_id]), "position": position, "waits_because": why}
            for position, (job_id, why) in enumerate(waiting, start=1)
            if job_id in known
        ]
        running = [self._views.plain_row(job) for job in self._views.active()]
        return JSONResponse({"running": running, "queued": rows, "total_queued": total})

    def clear_queue(self, project: str | None = None, user: str | None = None) -> dict[str, Any]:
        """Stop every waiting job, of a project or a user where one is given."""
        return {"cleared": self._jobs.clear_queue(project, user)}

    def projects(self) -> dict[str, Any]:
        """Return every project with the number of its jobs in each state."""
        return {"projects": self._views.projects()}

    def report(self, body: Report, authorization: str = Header(default="")) -> Response:
        """Take in a runner's report."""
        if body.instance != self._identity.instance:
            raise WrongServer("The attempt belongs to another server, which was at this address.")
        token = authorization.removeprefix("Bearer ")
        return JSONResponse(plain(self._runners.report(token, body)))


def _described(node: Node, held: Mapping[str, Allocation]) -> dict[str, Any]:
    """A node, what of it is in use, and which jobs have which share of each of its GPUs."""
    here = {job_id: one for job_id, one in held.items() if one.node == node.name}
    users: dict[str, dict[str, float]] = {gpu.uuid: {} for gpu in node.gpus}
    for job_id, one in here.items():
        for name, share in one.gpus:
            users.setdefault(node.device(name) or name, {})[job_id] = share
    gpus = [
        {**plain(gpu), "used": round(sum(users[gpu.uuid].values()), 3), "jobs": users[gpu.uuid]}
        for gpu in node.gpus
    ]
    used = {
        "cpus": sum(one.cpus for one in here.values()),
        "memory": sum(one.memory for one in here.values()),
        "gpus": [uuid for uuid, jobs in users.items() if jobs],
    }
    return {**plain(node), "gpus": gpus, "used": used}
