"""Endpoints of jobs' logs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response, StreamingResponse

from atlas_server.api.lasting import streamed
from atlas_server.api.rights import Router, needs
from atlas_server.api.schema import answers
from atlas_server.api.streams import JobStream
from atlas_server.domain.answers.logs import LogLines, LogMatches
from atlas_server.domain.records import JobRecord
from atlas_server.domain.retention import LOG
from atlas_server.domain.rights import Right
from atlas_server.services.content import Content
from atlas_server.services.feed import Feed
from atlas_server.services.logs import Logs, attempt_of
from atlas_server.services.views import Views

# Numbers that the database and files can count to.
_Whole = Annotated[int, Query(ge=0, lt=1 << 62)]


class LogRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, views: Views, content: Content, logs: Logs, feed: Feed) -> None:
        self._views = views
        self._content = content
        self._logs = logs
        self._feed = feed

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(prefix="/jobs/{reference}", tags=["logs"])
        add = router.add_api_route
        add("/logs", self.log, methods=["GET"], response_class=Response)
        add("/stream", self.stream, methods=["GET"], response_class=Response)
        add("/log/lines", self.lines, methods=["GET"], **answers(LogLines))
        add("/log/search", self.search, methods=["GET"], **answers(LogMatches))
        return router

    @needs(Right.READ_JOB)
    def log(
        self,
        reference: str,
        tail: _Whole | None = None,
        attempt: _Whole = 0,
        offset: _Whole = 0,
        limit: _Whole | None = None,
    ) -> Response:
        """Return a log as it stands, its last `tail` lines, or `limit` bytes from `offset` on."""
        job = self._views.resolve(reference)
        attempt = attempt_of(job, attempt)
        size = self._content.log_size(job.job_id, attempt)
        self._check(job, size)
        begin = offset if tail is None else self._content.log_tail(job, attempt, tail)
        end = size if limit is None else min(size, begin + limit)
        headers = {
            "Content-Length": str(max(0, end - begin)),
            "X-Atlas-Job": job.job_id,
            "X-Atlas-State": job.state.value,
            "X-Atlas-Attempt": str(attempt),
            "X-Atlas-Log-Size": str(size),
        }
        return StreamingResponse(
            self._content.log_between(job, attempt, begin, end),
            media_type="text/plain",
            headers=headers,
        )

    @needs(Right.READ_JOB)
    def stream(
        self,
        reference: str,
        attempt: _Whole = 0,
        offset: _Whole = 0,
        tail: _Whole | None = None,
        text: bool = True,
    ) -> Response:
        """Follow a job until it is over, as server-sent events `state` and `log`.

        Without `text` the log's events tell how long it is, not what was printed.
        """
        job = self._views.resolve(reference)
        if tail is not None:
            offset = self._content.log_tail(job, attempt or job.attempts, tail)
        stream = JobStream(self._views, self._content, self._feed, job.job_id, text=text)
        return streamed(stream.events(attempt, offset))

    @needs(Right.READ_JOB)
    def lines(
        self,
        reference: str,
        attempt: _Whole = 0,
        first: Annotated[int, Query(gt=-(1 << 62), lt=1 << 62)] = 0,
        count: Annotated[int, Query(ge=1, le=10_000)] = 500,
    ) -> Response:
        """Return lines by number, from 0; a negative `first` counts from the end."""
        job = self._views.resolve(reference)
        found = self._logs.lines(job, attempt, first, count)
        self._check(job, found["size"])
        return JSONResponse(found)

    @needs(Right.READ_JOB)
    def search(
        self,
        reference: str,
        text: Annotated[str, Query(min_length=1, max_length=1000)],
        attempt: _Whole = 0,
        regex: bool = False,
        case: bool = False,
        offset: _Whole = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
    ) -> Response:
        """Return the lines from byte `offset` on in which a text or pattern is."""
        job = self._views.resolve(reference)
        found = self._logs.search(
            job, attempt, text, is_pattern=regex, case=case, offset=offset, limit=limit
        )
        self._check(job, len(found["matches"]))
        return JSONResponse(found)

    def _check(self, job: JobRecord, found: int) -> None:
        """Where nothing is found, say so if it is because there is no log any more."""
        if not found:
            self._views.refuse_removed(job, LOG)
