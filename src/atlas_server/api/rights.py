"""Every endpoint says what right it asks for; none is reached without.

`Router` takes only endpoints that `needs` has marked. Where the path names a job, the job is found
and the right to it checked before the endpoint is called, which gets the whole ID: what `last`
means cannot change in between.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from atlas_server.api.gate import Gate
from atlas_server.api.lasting import ended_by
from atlas_server.domain.rights import Kind, Principal, Right

_E = TypeVar("_E", bound=Callable[..., Any])
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_MARK = "_atlas_needs"
_ABOUT_A_JOB = (Right.READ_JOB, Right.READ_DIRECTORY, Right.COPY_JOB, Right.MANAGE_JOB)
# What names jobs in paths.
_REFERENCES = ("reference", "other")
# Deeds of which no log is kept: looking, and what runners and uploads do all the time.
_UNTOLD = (
    Right.READ,
    Right.READ_JOB,
    Right.READ_DIRECTORY,
    Right.READ_RESULTS,
    Right.READ_SEARCH,
    Right.SEND,
    Right.FETCH,
    Right.RUNNER,
)
_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})


class _Needs:
    def __init__(self, right: Right, *, told: bool) -> None:
        self.right = right
        self.told = told


def needs(right: Right, *, told: bool = True) -> Callable[[_E], _E]:
    """Mark an endpoint: only who has `right` reaches it. `told` in the audit log, if it changes."""

    def mark(endpoint: _E) -> _E:
        setattr(endpoint, _MARK, _Needs(right, told=told))
        return endpoint

    return mark


def right_of(route: object) -> Right | None:
    """Return the right that a route asks for; None for what is no route of a Router."""
    found = getattr(getattr(route, "endpoint", None), _MARK, None)
    return found.right if isinstance(found, _Needs) else None


class _Guarded(APIRoute):
    """A route that is closed to those who lack the right."""

    def get_route_handler(self) -> _Handler:
        handler = super().get_route_handler()
        found = getattr(self.endpoint, _MARK, None)
        if not isinstance(found, _Needs):
            raise TypeError(f"{self.path}: the endpoint does not say what right it needs.")
        named = [name for name in _REFERENCES if f"{{{name}}}" in self.path]
        if (found.right in _ABOUT_A_JOB) != bool(named):
            raise TypeError(f"{self.path}: the right '{found.right.value}' does not fit the path.")
        told = found.told and found.right not in _UNTOLD
        action = ".".join([*(str(tag) for tag in self.tags or ["server"]), self.endpoint.__name__])

        async def guarded(request: Request) -> Response:
            gate: Gate = request.app.state.gate
            request.state.targets = []

            async def let_in() -> None:
                await _let_in(gate, request, found.right, named)

            if not told or not gate.keeps_audit or request.method in _LOOKING:
                await let_in()
                return ended_by(await handler(request), let_in)
            with gate.taken_down(request, action) as entry:
                await let_in()
                response = await handler(request)
                entry.outcome = response.status_code
                return response

        return guarded


async def _let_in(gate: Gate, request: Request, right: Right, named: list[str]) -> None:
    who = request.state.who = await gate.identify(request, right)
    gate.access.check(who, right) if right is not Right.RUNNER else gate.check_runner(request)
    if named and (right is Right.MANAGE_JOB or who.kind is Kind.JOB):
        if who.rules:
            return
        parameters = request.scope["path_params"]
        for name in named:
            reference = parameters[name]
            job = await anyio.to_thread.run_sync(gate.access.job, who, right, reference)
            parameters[name] = job.job_id


def check_declared(router: APIRouter) -> None:
    """Raise TypeError where one of a router's endpoints is open to everybody by oversight."""
    for route in router.routes:
        if right_of(route) is None or not isinstance(route, _Guarded):
            raise TypeError(f"{getattr(route, 'path', route)} does not say what right it needs.")


class Router(APIRouter):
    """A router all of whose endpoints are guarded."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(route_class=_Guarded, **settings)


def _who(request: Request) -> Principal:
    return request.state.who


def _targets(request: Request) -> list[str]:
    return request.state.targets


# For endpoints that have to know who asks.
Who = Annotated[Principal, Depends(_who)]
# For endpoints that know better than their path what they have dealt with: the audit log has it.
Targets = Annotated[list[str], Depends(_targets)]
