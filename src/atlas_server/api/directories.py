"""Endpoints of synchronised directories and measurements of jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from atlas_server.api.bodies import chunks_of
from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.directories import Directories, Place
from atlas_server.services.views import Views
from foundations.errors import WrongServer

_CHUNK = 1 << 20
# Apart from the threads that answer everything else, as for other uploads.
_UPLOADS = 64
_Whole = Annotated[int, Query(ge=0, lt=1 << 63)]
_Points = Annotated[int, Query(ge=1, le=10_000)]


class DirectoryRoutes:
    """The endpoints, and what they work with; `instance` is the server's identity."""

    def __init__(self, directories: Directories, views: Views, instance: str) -> None:
        self._directories = directories
        self._views = views
        self._instance = instance
        self._uploads = anyio.CapacityLimiter(_UPLOADS)

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(tags=["directories"])
        add = router.add_api_route
        add("/runner/file", self.send_file, methods=["PUT"], status_code=204)
        add("/jobs/{reference}/directory", self.files, methods=["GET"])
        add("/jobs/{reference}/directory/file", self.content, methods=["GET"])
        add("/jobs/{reference}/system", self.measured, methods=["GET"])
        return router

    @needs(Right.RUNNER)
    async def send_file(
        self,
        request: Request,
        attempt: _Whole,
        directory: str,
        path: str,
        mtime_ns: _Whole,
        instance: str,
        offset: _Whole | None = None,
        authorization: str = Header(default=""),
    ) -> None:
        """Store a file of an attempt's directory, or what comes at `offset` of it."""
        if instance != self._instance:
            raise WrongServer("The attempt belongs to another server, which was at this address.")
        place = Place(attempt, directory, path, mtime_ns, offset)
        token = authorization.removeprefix("Bearer ")

        def receive() -> None:
            self._directories.receive(token, place, chunks_of(request))

        await anyio.to_thread.run_sync(receive, limiter=self._uploads)

    @needs(Right.READ_DIRECTORY)
    def files(self, reference: str, key: str) -> dict[str, Any]:
        """Return the files of a job's directory; none where it has no such directory."""
        job = self._views.resolve(reference)
        found = [file._asdict() for file in self._directories.files(job, key)]
        return {"job_id": job.job_id, "key": key, "files": found}

    @needs(Right.READ_DIRECTORY)
    def content(self, reference: str, key: str, path: str) -> StreamingResponse:
        """Return the content of a file as it is now."""
        file = self._directories.open(self._views.resolve(reference), key, path)
        size = os.fstat(file.fileno()).st_size

        def chunks() -> Iterator[bytes]:
            left = size  # it may grow meanwhile
            with file:
                while left and (data := file.read(min(left, _CHUNK))):
                    left -= len(data)
                    yield data

        headers = {"Content-Length": str(size)}
        return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)

    @needs(Right.READ_JOB)
    def measured(self, reference: str, points: _Points = 1000) -> dict[str, Any]:
        """Return what a job used, moment by moment: means where there are more than `points`."""
        job = self._views.resolve(reference)
        return {"job_id": job.job_id, **self._directories.measured(job, points)}
