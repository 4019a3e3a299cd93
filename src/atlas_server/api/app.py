"""The application: every endpoint, its guard and its error shape."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI

from atlas_server.api import errors, pages
from atlas_server.api.gate import Gate
from atlas_server.api.guard import Guard
from atlas_server.api.outside import Outside
from atlas_server.api.rights import check_declared
from atlas_server.api.schema import describe
from atlas_server.config import ServerConfig
from foundations._version import __version__


def create_app(*routers: APIRouter, beside: APIRouter, gate: Gate, config: ServerConfig) -> FastAPI:
    """Return the ASGI application; what lies `beside` the API has its own paths.

    Raises TypeError for an endpoint that does not say what right it needs.
    """
    # No interactive documentation: its pages load scripts from elsewhere.
    app = FastAPI(
        title="Atlas",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.gate = gate
    app.add_middleware(Guard, asks_who=gate.identification.enabled, hosts=config.hosts)
    app.add_middleware(Outside, root_path=config.root_path, trusted=config.trusted_proxies)
    errors.install(app)
    for router in [*routers, beside]:
        check_declared(router)
    for router in routers:
        app.include_router(router, prefix="/api/v1")

    described: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        if not described:
            described.append(describe(app))
        return described[0]

    app.openapi = openapi

    app.include_router(beside)
    # Last: whatever is no other address is one of the pages.
    app.include_router(pages.routes())
    return app
