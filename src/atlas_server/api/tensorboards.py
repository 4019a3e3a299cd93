"""Endpoints of running TensorBoards, and the way to their pages: passed on by this server."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.tensorboards import Session, TensorBoards
from atlas_server.services.views import Views
from foundations.errors import ServerError

_CHUNK = 1 << 18
_TIMEOUT = 300.0
# What belongs to one connection alone (RFC 9110), and what the next server decides for itself.
_OWN = frozenset({
    "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host",
    "content-length", "date", "server",
    # Who asks is none of its business, and it does not log people in.
    "authorization", "cookie", "set-cookie",
})  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """The jobs to show, by what names them."""

    jobs: list[str]


class TensorBoardRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, tensorboards: TensorBoards, views: Views) -> None:
        self._tensorboards = tensorboards
        self._views = views

    def router(self) -> APIRouter:
        """Return the endpoints of the API."""
        router = Router(prefix="/tensorboards", tags=["tensorboards"])
        add = router.add_api_route
        add("", self.open, methods=["POST"], status_code=201)
        add("/{session_id}", self.keep, methods=["GET"])
        add("/{session_id}", self.end, methods=["DELETE"], status_code=204)
        return router

    def pages(self) -> APIRouter:
        """Return the pages, which lie beside the API."""
        router = Router(include_in_schema=False)
        router.add_api_route(
            "/tensorboard/{session_id}/{path:path}", self.page, methods=["GET", "POST"]
        )
        return router

    @needs(Right.READ)
    def open(self, selection: Selection) -> dict[str, Any]:
        """Start the TensorBoard of a selection of jobs, or return the one that runs."""
        jobs = [self._views.resolve(reference) for reference in selection.jobs]
        return _described(self._tensorboards.open(jobs))

    @needs(Right.READ)
    def keep(self, session_id: str) -> dict[str, Any]:
        """Tell whether a TensorBoard runs; it counts as used."""
        return _described(self._tensorboards.find(session_id))

    @needs(Right.READ)
    def end(self, session_id: str) -> None:
        """End a TensorBoard."""
        self._tensorboards.end(session_id)

    @needs(Right.READ)
    async def page(self, request: Request, session_id: str) -> StreamingResponse:
        """Pass a request on to a TensorBoard, and its answer back."""
        session = self._tensorboards.find(session_id)
        body = await request.body()
        query = request.url.query
        target = request.url.path + (f"?{query}" if query else "")
        headers = _passed_on(request.headers)

        def ask() -> http.client.HTTPResponse:
            return _ask(session, request.method, target, body, headers)

        answer = await anyio.to_thread.run_sync(ask)
        return StreamingResponse(
            _content(answer), answer.status, headers=_passed_on(dict(answer.getheaders()))
        )


def _described(session: Session) -> dict[str, Any]:
    return {"id": session.id, "path": session.path, "jobs": list(session.job_ids)}


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OWN}


def _ask(
    session: Session, method: str, target: str, body: bytes, headers: dict[str, str]
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", session.port, timeout=_TIMEOUT)
    try:
        connection.request(method, target, body or None, {**headers, "Connection": "close"})
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise ServerError(f"TensorBoard does not answer: {error}") from error


def _content(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    with answer:
        while data := answer.read1(_CHUNK):
            yield data
