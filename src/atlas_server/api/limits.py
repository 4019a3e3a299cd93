"""Endpoints of limits and shares: who may have how much, and who has how much."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, needs
from atlas_server.api.schema import answers
from atlas_server.domain.allowance import Use
from atlas_server.domain.answers.limits import LimitedOne, LimitTable
from atlas_server.domain.limits import EVERYBODY, LIMIT_NAMES, PROJECT, USER, Rules, Scope, scopes
from atlas_server.domain.resources import WHOLE
from atlas_server.domain.rights import Right
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.limits import LimitBook


class LimitChange(BaseModel):
    """Limits of a user or project, or with the name "*" of everybody; null takes one back."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["user", "project"]
    name: str
    limits: dict[str, float | int | None]


class LimitRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, limits: LimitBook, scheduler: Scheduler) -> None:
        self._limits = limits
        self._scheduler = scheduler

    def router(self) -> Router:
        """Return the endpoints."""
        router = Router(tags=["limits"])
        add = router.add_api_route
        add("/limits", self.table, methods=["GET"], **answers(LimitTable))
        add("/limits", self.change, methods=["PATCH"], **answers(LimitTable))
        add("/limits/{kind}/{name}", self.remove, methods=["DELETE"], **answers(LimitTable))
        return router

    @needs(Right.READ)
    def table(self) -> Response:
        """Return what everybody may have, and has."""
        rules, used, waiting = self._limits.rules(), self._used(), self._limits.waiting()
        named = {Scope(kind, name) for kind in (USER, PROJECT) for name in rules.given(kind)}
        shown = sorted(named | used.keys() | waiting.keys(), key=_order)
        rows = [self._row(scope, rules, used.get(scope, Use()), waiting) for scope in shown]
        return JSONResponse({"limits": rows})

    @needs(Right.ADMIN)
    def change(self, wanted: LimitChange) -> Response:
        """Set limits of a user or project, or take some back; the others stay."""
        self._limits.change(Scope(wanted.kind, wanted.name), wanted.limits)
        return self.table()

    @needs(Right.ADMIN)
    def remove(self, kind: Literal["user", "project"], name: str) -> Response:
        """Take back all that was set for a user or project; everybody's limits count then."""
        self._limits.remove(Scope(kind, name))
        return self.table()

    def _used(self) -> dict[Scope, Use]:
        used: dict[Scope, Use] = defaultdict(Use)
        for job in self._scheduler.running():
            amount = job.allocation.amount()
            for scope in scopes(job.user, job.project):
                used[scope] = used[scope].plus(Use(1, amount.cpus, amount.gpus))
        return used

    def _row(self, scope: Scope, rules: Rules, use: Use, waiting: dict[Scope, int]) -> LimitedOne:
        limits = rules.of(scope)
        measured = limits.stored is not None and scope.name != EVERYBODY
        shown: Any = {name: getattr(limits, name) for name in LIMIT_NAMES}
        return {
            "kind": scope.kind,
            "name": scope.name,
            "limits": shown,
            "used": {
                "jobs": use.jobs,
                "cpus": use.cpus / WHOLE,
                "gpus": use.gpus / WHOLE,
                "queued": waiting.get(scope, 0),
                "stored": self._limits.stored(scope) if measured else None,
            },
            "origin": self._limits.origin(scope),
        }


def _order(scope: Scope) -> tuple[bool, bool, str]:
    """Users first, and everybody before those that are named."""
    return scope.kind == PROJECT, scope.name != EVERYBODY, scope.name
