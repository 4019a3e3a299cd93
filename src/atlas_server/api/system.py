"""Endpoints of the server as such: health, resources, queue, projects, runners."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse, Response

from atlas_server.domain.resources import Allocation
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


def routes(
    home: str,
    instance: str,
    started_at: float,
    jobs: Jobs,
    views: Views,
    runners: Runners,
    scheduler: Scheduler,
) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(tags=["system"])

    @router.get("/health")
    def health() -> dict[str, Any]:
        """Tell who answers here."""
        return {
            "version": __version__,
            "api": API_VERSION,
            "home": home,
            "pid": os.getpid(),
            "started_at": started_at,
        }

    @router.get("/server")
    def server() -> dict[str, Any]:
        """Return nodes, what is in use on them, and the number of jobs in each state."""
        used = [(held.node, held) for held in scheduler.allocations()]
        nodes = [
            {**plain(node), "used": _sum([held for name, held in used if name == node.name])}
            for node in scheduler.nodes()
        ]
        return {"version": __version__, "home": home, "nodes": nodes, "jobs": views.counts()}

    @router.get("/queue")
    def queue() -> Response:
        """Return the running jobs and the waiting ones, in the order of their turns."""
        total, waiting = scheduler.waiting(_SHOWN_WAITING)
        known = views.by_ids(job_id for job_id, _ in waiting)
        rows = [
            {**views.plain_row(known[job_id]), "position": position, "waits_because": why}
            for position, (job_id, why) in enumerate(waiting, start=1)
            if job_id in known
        ]
        running = [views.plain_row(job) for job in views.active()]
        return JSONResponse({"running": running, "queued": rows, "total_queued": total})

    @router.delete("/queue")
    def clear(project: str | None = None, user: str | None = None) -> dict[str, Any]:
        """Stop every waiting job, of a project or a user where one is given."""
        return {"cleared": jobs.clear_queue(project, user)}

    @router.get("/projects")
    def projects() -> dict[str, Any]:
        """Return every project with the number of its jobs in each state."""
        return {"projects": views.projects()}

    @router.post("/runner/report")
    def report(body: Report, authorization: str = Header(default="")) -> Response:
        """Take in a runner's report."""
        if body.instance != instance:
            raise WrongServer("The attempt belongs to another server, which was at this address.")
        token = authorization.removeprefix("Bearer ")
        return JSONResponse(plain(runners.report(token, body)))

    return router


def _sum(held: list[Allocation]) -> dict[str, Any]:
    return {
        "cpus": sum(item.cpus for item in held),
        "memory": sum(item.memory for item in held),
        "gpus": [uuid for item in held for uuid, _ in item.gpus],
    }
