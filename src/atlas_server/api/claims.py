"""The endpoint at which runners get their assignments, where those cannot be handed to them."""

from __future__ import annotations

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.claims import Claims
from foundations.contract.report import Claim
from foundations.errors import WrongServer


def routes(claims: Claims, instance: str) -> APIRouter:
    """Return the endpoint."""
    router = Router(tags=["system"])

    @router.post("/runner/claim", response_class=Response)
    @needs(Right.RUNNER)
    def claim(body: Claim, authorization: str = Header(default="")) -> Response:
        """Give a runner its assignment; what it shows is good once."""
        if body.instance != instance:
            raise WrongServer("The attempt belongs to another server, which was at this address.")
        shown = authorization.removeprefix("Bearer ")
        return JSONResponse(claims.claim(shown, body.token))

    return router
