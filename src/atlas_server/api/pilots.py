"""The endpoint at which pilots say what they carry, and get more to do."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, needs
from atlas_server.domain.ports import PilotDesk
from atlas_server.domain.rights import Right
from atlas_server.services.pilots import PilotsHeard
from foundations.contract.codec import plain
from foundations.contract.pilots import PilotNews, PilotOrders
from foundations.contract.tokens import CLAIM

_LONGEST = 30.0


def routes(pilots: PilotsHeard) -> APIRouter:
    """Return the endpoint."""
    router = Router(tags=["system"])

    @needs(Right.RUNNER)
    async def pilot(body: PilotNews, authorization: str = Header(default="")) -> Response:
        """Take in what a pilot tells; one that asks is answered when there is something for it."""
        shown = authorization.removeprefix("Bearer ")
        if shown.startswith(CLAIM):
            return JSONResponse(plain(pilots.admit(shown, body)))
        desk = pilots.hear(shown, body)
        orders = await _orders(desk, body) if body.asks else None
        return JSONResponse(plain(orders or PilotOrders()))

    router.add_api_route("/runner/pilot", pilot, methods=["POST"])
    return router


async def _orders(desk: PilotDesk, news: PilotNews) -> PilotOrders | None:
    event, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    until = time.monotonic() + min(news.patience, _LONGEST)
    # Listening begins before the first look, so that nothing falls in between.
    forget = desk.listen(news.name, wake)
    try:
        while (orders := desk.orders(news)) is None:
            try:
                await asyncio.wait_for(event.wait(), until - time.monotonic())
            except TimeoutError:
                return None
            event.clear()
        return orders
    finally:
        forget()
