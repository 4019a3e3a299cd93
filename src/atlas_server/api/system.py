"""Endpoints of the server as such: health, resources, nodes, queue, runners."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.live import repeated
from atlas_server.api.rights import Router, Targets, Who, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.jobs import PlainJob
from atlas_server.domain.answers.system import (
    Cleared,
    Health,
    NodeJob,
    Nodes,
    NodeShown,
    Queue,
    ServerShown,
)
from atlas_server.domain.records import JobRecord
from atlas_server.domain.resources import Allocation, Node
from atlas_server.domain.rights import Right
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.access import Access
from atlas_server.services.drains import Drains
from atlas_server.services.edits import Edits
from atlas_server.services.jobs import Jobs
from atlas_server.services.runners import Runners
from atlas_server.services.views import Views
from foundations._version import __version__
from foundations.contract.codec import plain
from foundations.contract.report import Report
from foundations.contract.version import API_VERSION
from foundations.errors import Forbidden, InvalidRequest, NotFound, Refused, WrongServer

_SHOWN_WAITING = 1000
_NODES_EVERY = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this server is: its home, the ID that it keeps wherever it listens, when it started."""

    home: str
    instance: str
    started_at: float


class Move(BaseModel):
    """Where a waiting job is to go: `before` another job, `to` one of the ends, or a priority."""

    model_config = ConfigDict(extra="forbid")

    job: str
    priority: int | None = None
    before: str | None = None
    to: Literal["front", "back"] | None = None


class NodeChange(BaseModel):
    """Whether a node is to take new jobs, and why it is not."""

    model_config = ConfigDict(extra="forbid")

    name: str
    drained: bool
    reason: str = ""


class SystemRoutes:
    """The endpoints, and what they work with."""

    def __init__(
        self,
        identity: Identity,
        jobs: Jobs,
        edits: Edits,
        views: Views,
        runners: Runners,
        scheduler: Scheduler,
        access: Access,
        drains: Drains,
    ) -> None:
        self._identity = identity
        self._jobs = jobs
        self._edits = edits
        self._views = views
        self._runners = runners
        self._scheduler = scheduler
        self._access = access
        self._drains = drains

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(tags=["system"])
        add = router.add_api_route
        add("/health", self.health, methods=["GET"], **answers(Health))
        add("/server", self.server, methods=["GET"], **answers(ServerShown))
        add("/nodes", self.nodes, methods=["GET"], **answers(Nodes))
        add("/nodes", self.change_node, methods=["PATCH"], **answers(Nodes))
        add("/nodes/live", self.nodes_live, methods=["GET"], response_class=Response)
        add("/queue", self.queue, methods=["GET"], **answers(Queue))
        add("/queue", self.clear_queue, methods=["DELETE"], **answers(Cleared))
        add("/queue/move", self.move, methods=["POST"], **answers(PlainJob))
        add("/runner/report", self.report, methods=["POST"])
        return router

    @needs(Right.PUBLIC)
    def health(self, who: Who) -> dict[str, Any]:
        """Tell who answers here; more to those who may look at the rest, too."""
        about = {"version": __version__, "api": API_VERSION}
        if not who.may(Right.READ):
            return about
        return {
            **about,
            "home": self._identity.home,
            "pid": os.getpid(),
            "started_at": self._identity.started_at,
        }

    @needs(Right.READ)
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

    @needs(Right.READ)
    def nodes(self) -> Response:
        """Return nodes with what goes on there: what they do, and which jobs have what."""
        return JSONResponse(self._nodes())

    @needs(Right.ADMIN)
    def change_node(self, who: Who, targets: Targets, wanted: NodeChange) -> Response:
        """Keep new jobs from a node, or let it take some again; what runs there goes on."""
        targets.append(wanted.name)
        if not wanted.drained:
            self._drains.undrain(wanted.name, who.name)
        elif any(node.name == wanted.name for node in self._scheduler.nodes()):
            self._drains.drain(wanted.name, who.name, wanted.reason)
        else:
            raise NotFound(
                f"There is no node '{wanted.name}'.", "Their names are shown by: foundations nodes"
            )
        return self.nodes()

    @needs(Right.READ)
    def nodes_live(self) -> Response:
        """Tell the same every two seconds, as server-sent events `nodes`."""
        return repeated("nodes", self._nodes, _NODES_EVERY)

    def _nodes(self) -> dict[str, Any]:
        held, live = self._scheduler.allocations(), self._scheduler.usage()
        known = self._views.by_ids(held)
        nodes = [
            {
                **_described(node, held),
                "live": live.get(node.name),
                "jobs": [
                    _on_node(known[job_id], one)
                    for job_id, one in _here(held, node)
                    if job_id in known
                ],
            }
            for node in self._scheduler.nodes()
        ]
        return {"nodes": nodes}

    @needs(Right.READ)
    def queue(self) -> Response:
        """Return the running jobs and the waiting ones, in the order of their turns."""
        total, waiting = self._scheduler.waiting(_SHOWN_WAITING)
        known = self._views.by_ids(job_id for job_id, _ in waiting)
        rows = [
            {**self._views.plain_row(known[job_id]), "position": position, "waits_because": why}
            for position, (job_id, why) in enumerate(waiting, start=1)
            if job_id in known
        ]
        held = self._scheduler.allocations()
        running = [
            {
                **self._views.plain_row(job),
                "node": held[job.job_id].node if job.job_id in held else None,
            }
            for job in self._views.active()
        ]
        return JSONResponse({"running": running, "queued": rows, "total_queued": total})

    @needs(Right.CHANGE)
    def clear_queue(
        self, who: Who, targets: Targets, project: str | None = None, user: str | None = None
    ) -> dict[str, Any]:
        """Stop every waiting job, of a project or a user where one is given.

        Those of others are for admins: without a user a member means their own.
        """
        if not who.rules:
            user = who.name if user is None else user
            if not who.may_manage(user):
                raise Forbidden(f"The jobs of '{user}' are theirs and the admins' to stop.")
        cleared = self._jobs.clear_queue(project, user)
        targets += cleared
        return {"cleared": cleared}

    @needs(Right.CHANGE)
    def move(self, who: Who, targets: Targets, wanted: Move) -> Response:
        """Give a waiting job another turn: before another job, in front, behind, or by priority."""
        given = [wanted.priority, wanted.before, wanted.to]
        if len([value for value in given if value is not None]) != 1:
            raise InvalidRequest("Give one of `priority`, `before` and `to`.")
        job = self._views.resolve(wanted.job)
        self._access.check_managing(who, job)
        targets.append(job.job_id)
        if wanted.priority is not None:
            refused = self._edits.set_priority([job.job_id], wanted.priority)
            if refused:
                raise Refused(refused[job.job_id])
        elif wanted.before is not None:
            other = self._views.resolve(wanted.before)
            if not self._access.may_manage(who, other):
                raise _jumping()
            self._edits.move_before(job, other)
        elif wanted.to == "front":
            if not who.rules:
                raise _jumping()
            self._edits.move_to_front(job)
        else:
            self._edits.move_to_back(job)
        return JSONResponse(self._views.plain_row(self._views.resolve(job.job_id)))

    @needs(Right.RUNNER)
    def report(self, body: Report, authorization: str = Header(default="")) -> Response:
        """Take in a runner's report."""
        if body.instance != self._identity.instance:
            raise WrongServer("The attempt belongs to another server, which was at this address.")
        token = authorization.removeprefix("Bearer ")
        return JSONResponse(plain(self._runners.report(token, body)))


def _jumping() -> Forbidden:
    return Forbidden(
        "To put a job before those of others is for admins.", "Put it before one of your own."
    )


def _described(node: Node, held: Mapping[str, Allocation]) -> dict[str, Any]:
    """A node, what of it is in use, and which jobs have which share of each of its GPUs."""
    here = dict(_here(held, node))
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
    shown = {
        name: value for name, value in plain(node).items() if name in NodeShown.__annotations__
    }
    return {**shown, "gpus": gpus, "used": used}


def _here(held: Mapping[str, Allocation], node: Node) -> list[tuple[str, Allocation]]:
    """What jobs hold on a node, in no other than its part."""
    return [
        (job_id, part)
        for job_id, one in held.items()
        for part in one.parts()
        if part.node == node.name
    ]


def _on_node(job: JobRecord, held: Allocation) -> NodeJob:
    return {
        "job_id": job.job_id,
        "project": job.project,
        "name": job.name,
        "user": job.user,
        "cpus": held.cpus,
        "memory": held.memory,
        "gpus": [uuid for uuid, _ in held.gpus],
    }
