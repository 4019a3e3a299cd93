"""Endpoints of large blobs that arrive in parts."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request

from atlas_server.api.bodies import chunks_of
from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.content import Content, Held
from foundations.contract.codec import plain

_Whole = Annotated[int, Query(ge=0, lt=1 << 62)]
# As of packs: senders that stall keep nobody else waiting.
_UPLOADS = 64


def routes(content: Content) -> APIRouter:
    """Return the endpoints."""
    router = Router(prefix="/blobs/{digest}/incoming", tags=["bundles"])
    uploads = anyio.CapacityLimiter(_UPLOADS)

    @router.get("")
    @needs(Right.SEND)
    def incoming(digest: str) -> dict[str, Any]:
        """Tell how many bytes of a blob are here (`size`), and whether it is `complete`."""
        return plain(content.incoming(digest))

    @router.put("")
    @needs(Right.SEND)
    async def send_part(
        request: Request, digest: str, offset: _Whole, size: _Whole
    ) -> dict[str, Any]:
        """Take in what comes at `offset` of a blob of `size` bytes; answers what is here then."""

        def receive() -> Held:
            return content.receive_part(digest, size, offset, chunks_of(request))

        return plain(await anyio.to_thread.run_sync(receive, limiter=uploads))

    return router
