"""The application: every endpoint, its guard and its error shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse

from atlas_server.api import errors
from atlas_server.api.guard import Guard
from atlas_server.api.schema import describe
from foundations._version import __version__

_PAGE = Path(__file__).parent / "page.html"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'"
)


def create_app(*routers: APIRouter) -> FastAPI:
    """Return the ASGI application."""
    # No interactive documentation: its pages load scripts from elsewhere.
    app = FastAPI(
        title="Atlas",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.add_middleware(Guard)
    errors.install(app)
    for router in routers:
        app.include_router(router, prefix="/api/v1")

    described: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        if not described:
            described.append(describe(app))
        return described[0]

    app.openapi = openapi

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_PAGE, headers={"Content-Security-Policy": _PAGE_POLICY})

    return app
