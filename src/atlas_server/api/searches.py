"""Endpoints of searches and their trials."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.lasting import KEEP_ALIVE, WAITING, streamed
from atlas_server.api.rights import Router, Targets, Who, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.searches import (
    Importance,
    SearchDetails,
    SearchList,
    SearchRow,
    TrialCurves,
    TrialList,
)
from atlas_server.domain.rights import Kind, Right
from atlas_server.services.access import Access
from atlas_server.services.feed import AsyncWatcher, Feed
from atlas_server.services.search_views import SearchViews
from atlas_server.services.searches import Searches, Wanted
from foundations.contract.spec import JobSpec
from foundations.errors import Forbidden

# Nobody reads faster.
_INTERVAL = 0.2


@dataclass(frozen=True)
class SearchWanted:
    """A search to start. `spec` is the job that its trials are, without parameters.

    `search` has parameters, metric, sampler, budget and so on, as docs/search.md says;
    `search_id` is a UUID that the client chooses, so that sending twice is harmless. Without a
    `name` it gets one that begins with `stem`.
    """

    spec: JobSpec
    search_id: str
    search: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str | None = None
    stem: str = "search"


class SearchStop(BaseModel):
    """Whether the trials that run are stopped, too."""

    model_config = ConfigDict(extra="forbid")

    running: bool = True


class SearchMore(BaseModel):
    """What to add to the budget (`time` in seconds or as in 2h), and a new concurrency."""

    model_config = ConfigDict(extra="forbid")

    trials: int | None = None
    time: float | str | None = None
    gpu_hours: float | None = None
    concurrency: int | None = None


class SearchRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, searches: Searches, views: SearchViews, feed: Feed, access: Access) -> None:
        self._access = access
        self._searches = searches
        self._views = views
        self._feed = feed

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(prefix="/searches", tags=["searches"])
        add = router.add_api_route
        add("", self.start, methods=["POST"], status_code=201, **answers(SearchRow))
        add("", self.listing, methods=["GET"], **answers(SearchList))
        add("/check", self.check, methods=["POST"])
        add("/{name}", self.show, methods=["GET"], **answers(SearchDetails))
        add("/{name}/row", self.row, methods=["GET"], **answers(SearchRow))
        add("/{name}/trials", self.trials, methods=["GET"], **answers(TrialList))
        add("/{name}/curves", self.curves, methods=["GET"], **answers(TrialCurves))
        add("/{name}/importance", self.importance, methods=["GET"], **answers(Importance))
        add("/{name}/stream", self.stream, methods=["GET"], response_class=Response)
        add("/{name}/stop", self.stop, methods=["POST"], **answers(SearchRow))
        add("/{name}/resume", self.resume, methods=["POST"], **answers(SearchRow))
        add("/{name}/extend", self.extend, methods=["POST"], **answers(SearchRow))
        return router

    @needs(Right.SUBMIT)
    def start(self, who: Who, targets: Targets, wanted: SearchWanted) -> Response:
        """Start a search. The same `search_id` sent twice is one search."""
        signed = replace(wanted, spec=self._access.signed(who, wanted.spec))
        search = self._searches.start(_wanted(signed))
        targets.append(search.name)
        return JSONResponse(self._views.row(search.name), 201)

    @needs(Right.SUBMIT, told=False)
    def check(self, wanted: SearchWanted) -> dict[str, Any]:
        """Tell whether a search would be accepted, without starting it."""
        self._searches.check(_wanted(wanted))
        return {"accepted": True}

    @needs(Right.READ)
    def listing(
        self,
        project: str | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    ) -> Response:
        """Return the newest searches, and the jobs that programs submitted together."""
        return JSONResponse({"searches": self._views.listing(project, limit)})

    @needs(Right.READ_SEARCH)
    def show(self, who: Who, name: str) -> Response:
        """Return everything about a search but its trials."""
        self._check_reading(who, name)
        return JSONResponse(self._views.details(name))

    @needs(Right.READ_SEARCH)
    def row(self, who: Who, name: str) -> Response:
        """Return the row of a search, or of jobs that a program submitted together."""
        self._check_reading(who, name)
        return JSONResponse(self._views.row(name))

    @needs(Right.READ_SEARCH)
    def trials(self, who: Who, name: str, after: int = -1) -> Response:
        """Return the trials whose numbers are higher than `after`."""
        self._check_reading(who, name)
        return JSONResponse({"trials": self._views.trials(name, after)})

    @needs(Right.READ_SEARCH)
    def curves(self, who: Who, name: str, after: int = -1) -> Response:
        """Return what trials logged of the objective on their way: 500 trials at most."""
        self._check_reading(who, name)
        return JSONResponse({"curves": self._views.curves(name, after)})

    @needs(Right.READ_SEARCH)
    def importance(self, who: Who, name: str, objective: str | None = None) -> Response:
        """Return how much each parameter matters to an objective; empty: too few trials."""
        self._check_reading(who, name)
        return JSONResponse(self._views.importance(name, objective))

    @needs(Right.READ_SEARCH)
    async def stream(self, who: Who, name: str) -> Response:
        """Tell the row of a search at every change until it is over, as server-sent events."""
        await anyio.to_thread.run_sync(self._views.row, name)  # what is not there is no stream
        await anyio.to_thread.run_sync(self._check_reading, who, name)
        return streamed(self._changes(name))

    async def _changes(self, name: str) -> AsyncIterator[bytes]:
        watcher = AsyncWatcher(self._feed)
        told: SearchRow | None = None
        try:
            while True:
                row = await anyio.to_thread.run_sync(self._views.row, name)
                if told is None or _differs(row, told):
                    told = row
                    yield f"event: search\ndata: {json.dumps(row)}\n\n".encode()
                if row["finished_at"] is not None:
                    return
                await anyio.sleep(_INTERVAL)
                while not await watcher.changed(KEEP_ALIVE):
                    yield WAITING
        finally:
            watcher.close()

    @needs(Right.MANAGE_SEARCH)
    def stop(self, who: Who, targets: Targets, name: str, how: SearchStop) -> Response:
        """Begin no more trials; of jobs that a program submitted, stop those that are not over."""
        self._check_managing(who, targets, name)
        # Jobs of others may have been submitted under the same name.
        only_of = None if who.rules else who.name
        stopped = self._searches.stop(name, running=how.running, only_of=only_of)
        return JSONResponse(self._views.row(stopped))

    @needs(Right.MANAGE_SEARCH)
    def resume(self, who: Who, targets: Targets, name: str) -> Response:
        """Let a search go on that was stopped or has failed."""
        self._check_managing(who, targets, name)
        return JSONResponse(self._views.row(self._searches.resume(name)))

    @needs(Right.MANAGE_SEARCH)
    def extend(self, who: Who, targets: Targets, name: str, more: SearchMore) -> Response:
        """Add to the budget of a search; one that is over goes on."""
        self._check_managing(who, targets, name)
        values = {key: value for key, value in more.model_dump().items() if value is not None}
        return JSONResponse(self._views.row(self._searches.extend(name, values)))

    def _check_reading(self, who: Who, name: str) -> None:
        """A job looks at what its own user searches; everybody else at everything."""
        if who.kind is Kind.JOB and self._views.row(name)["user"] != who.name:
            raise Forbidden(
                f"Search '{name}' is another user's than the job's.",
                "Do this where you are logged in.",
            )

    def _check_managing(self, who: Who, targets: Targets, name: str) -> None:
        targets.append(name)
        user = self._views.row(name)["user"]
        own = who.kind is Kind.JOB and who.name == user
        if not own and not who.may_manage(user):
            raise Forbidden(
                f"Search '{name}' is {user}'s: its owner and admins can change it.",
                "Start one of your own: foundations search start",
            )


def _differs(row: SearchRow, told: SearchRow) -> bool:
    """Whether more than the time has changed."""
    return {**row, "spent": None} != {**told, "spent": None}


def _wanted(body: SearchWanted) -> Wanted:
    return Wanted(body.spec, body.search, body.search_id, body.name, body.stem)
