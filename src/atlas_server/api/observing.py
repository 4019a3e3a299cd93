"""What watches a server asks for: is it alive, is it ready, its figures. Beside the API's paths."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response

from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.health import Health
from atlas_server.services.meters import Meters


def routes(health: Health, meters: Meters) -> APIRouter:
    """Return the endpoints."""
    router = Router(include_in_schema=False)

    @router.get("/healthz")
    @needs(Right.PUBLIC)
    def healthz() -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz")
    @needs(Right.PUBLIC)
    def readyz() -> Response:
        """Whether jobs are taken and started, and what keeps the server from it."""
        problems = health.problems()
        ready = not any(problems.values())
        checks = {name: problem or "ok" for name, problem in problems.items()}
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    @router.get("/metrics")
    @needs(Right.READ)
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(meters.text(), media_type=CONTENT_TYPE_LATEST)

    return router
