"""Endpoints over all jobs of a project at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from atlas_server.api.rights import Router, Who, needs
from atlas_server.domain.rights import Right
from atlas_server.services.access import Access
from atlas_server.services.results import Results


def routes(results: Results, access: Access) -> APIRouter:
    """Return the endpoints."""
    router = Router(tags=["results"])

    @router.get("/results", response_class=StreamingResponse)
    @needs(Right.READ_RESULTS)
    def lines(
        who: Who, project: str, query: Annotated[str, Query(max_length=10_000)] = ""
    ) -> StreamingResponse:
        """Return every job of a project, newest first, or those of a query in its order.

        One JSON array a line:

        `[job_id, user, state, submitted_at, started_at, finished_at, given parameters or null,
        recorded parameters, newest values of the metrics, tags]`
        """
        access.check_results(who, project)
        return StreamingResponse(results.lines(project, query), media_type="application/x-ndjson")

    return router
