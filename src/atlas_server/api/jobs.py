"""Endpoints of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse

from atlas_server.api.bodies import FileLike, written_by
from atlas_server.api.schema import answers
from atlas_server.api.streams import JobStream
from atlas_server.domain.answers.jobs import (
    Difference,
    JobDetails,
    JobGone,
    JobList,
    JobStateNow,
    PlainJob,
)
from atlas_server.domain.records import JobFilter, JobRecord
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.archives import Archives
from atlas_server.services.batches import Batches, Member
from atlas_server.services.content import Content
from atlas_server.services.executed import ExecutedJobs
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.listings import Listings
from atlas_server.services.queries import Asked
from atlas_server.services.views import Views
from foundations.bundle.archive import write_tar
from foundations.contract.codec import plain
from foundations.contract.manifest import Entry
from foundations.contract.report import Executed
from foundations.contract.spec import JobSpec
from foundations.contract.states import JobKind, JobState
from foundations.errors import InvalidRequest, NotFound

_PAGE = 10_000
# Numbers that the database and files can count to.
_Whole = Annotated[int, Query(ge=0, lt=1 << 63)]
_SPEC = TypeAdapter(JobSpec)


@dataclass(frozen=True)
class Batch:
    """Jobs that have all but their parameters in common."""

    spec: JobSpec
    jobs: list[Member]


class JobRoutes:
    """The endpoints, and what they work with."""

    def __init__(
        self,
        jobs: Jobs,
        batches: Batches,
        executed: ExecutedJobs,
        views: Views,
        listings: Listings,
        archives: Archives,
        content: Content,
        feed: Feed,
        scheduler: Scheduler,
    ) -> None:
        self._jobs = jobs
        self._batches = batches
        self._executed = executed
        self._views = views
        self._listings = listings
        self._archives = archives
        self._content = content
        self._feed = feed
        self._scheduler = scheduler

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(prefix="/jobs", tags=["jobs"])
        add = router.add_api_route
        add("", self.submit, methods=["POST"], status_code=201, **answers(PlainJob))
        add("", self.listing, methods=["GET"], **answers(JobList))
        add("/batch", self.submit_batch, methods=["POST"], status_code=201)
        add("/check", self.check, methods=["POST"])
        add("/executed", self.take, methods=["POST"])
        add("/{reference}", self.show, methods=["GET"], **answers(JobDetails))
        add("/{reference}", self.delete, methods=["DELETE"], **answers(JobGone))
        add("/{reference}/stop", self.stop, methods=["POST"], **answers(JobStateNow))
        add(
            "/{reference}/rerun", self.rerun, methods=["POST"], status_code=201, **answers(PlainJob)
        )
        add("/{reference}/diff/{other}", self.diff, methods=["GET"], **answers(Difference))
        add("/{reference}/logs", self.log, methods=["GET"], response_class=Response)
        add("/{reference}/stream", self.stream, methods=["GET"], response_class=Response)
        add("/{reference}/metrics", self.metric, methods=["GET"])
        add("/{reference}/archive", self.archive, methods=["GET"], response_class=Response)
        add("/{reference}/artifacts.tgz", self.artifacts, methods=["GET"], response_class=Response)
        return router

    def submit(self, spec: JobSpec, job_id: str | None = None) -> Response:
        """Queue a job. The same `job_id` sent twice is one job."""
        job = self._jobs.submit(spec, job_id)
        return JSONResponse(self._views.plain_row(job), 201)

    def submit_batch(self, batch: Batch) -> Response:
        """Queue many jobs that differ in their parameters, all or none; answers their IDs."""
        return JSONResponse({"job_ids": self._batches.submit(batch.spec, batch.jobs)}, 201)

    def check(self, spec: JobSpec) -> dict[str, Any]:
        """Tell whether a job would be accepted, without submitting it."""
        self._jobs.check(spec)
        return {"accepted": True}

    def take(self, body: Executed) -> Response:
        """Take in a job that runs, or ran, without a scheduler. The same sent twice is one job."""
        return JSONResponse(plain(self._executed.take(body)))

    def listing(
        self,
        project: str | None = None,
        user: str | None = None,
        status: Annotated[list[str] | None, Query()] = None,
        tag: Annotated[list[str] | None, Query()] = None,
        query: Annotated[str, Query(max_length=10_000)] = "",
        before: _Whole | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
        kind: JobKind | None = None,
    ) -> Response:
        """Return the newest jobs that fit. `tag` is KEY or KEY=VALUE; several must all fit.

        With a `query` the project alone may be given beside it.
        """
        if query:
            if user or status or tag:
                raise InvalidRequest("Say it all in the query, or without one.")
            asked = Asked(project, query)
            rows, cursor = self._listings.newest(asked, before, limit)
            return JSONResponse({"jobs": rows, "next": cursor})
        condition = JobFilter(
            project=project,
            user=user,
            states=_states(status or []),
            tags=tuple(_tag(text) for text in tag or []),
            before=before,
            kind=kind,
        )
        rows, cursor = self._views.rows(condition, limit)
        return JSONResponse({"jobs": rows, "next": cursor})

    def show(self, reference: str) -> Response:
        """Return everything about a job."""
        job = self._views.resolve(reference)
        details = self._views.details(job)
        waits = self._scheduler.why_waits(job.job_id) if job.state is JobState.QUEUED else None
        if waits is not None:
            details["jobs_ahead"], details["waits_because"] = waits
        return JSONResponse(details)

    def delete(self, reference: str) -> dict[str, str]:
        """Delete a finished job, its logs, and the files that no other job has."""
        job = self._views.resolve(reference)
        artifacts = self._archives.artifact_digests(job)
        self._jobs.delete(job)
        self._archives.remove(job, artifacts)
        return {"job_id": job.job_id}

    def stop(self, reference: str) -> dict[str, str]:
        """Stop a job; answers its state, `stopping` until its worker has ended."""
        job = self._views.resolve(reference)
        return {"job_id": job.job_id, "state": self._jobs.stop(job).value}

    def rerun(self, reference: str, changes: dict[str, Any]) -> Response:
        """Queue a copy of a job; `changes` replaces fields of its spec."""
        job = self._views.resolve(reference)
        spec = _spec_with({**job.spec, **changes})
        again = self._jobs.rerun(job, spec, same_worker="worker" not in changes)
        return JSONResponse(self._views.plain_row(again), 201)

    def diff(self, reference: str, other: str) -> Response:
        """Return how two jobs differ."""
        first, second = self._views.resolve(reference), self._views.resolve(other)
        difference = self._archives.diff(first, second)
        return JSONResponse({"jobs": [first.job_id, second.job_id], **difference})

    def log(self, reference: str, tail: _Whole | None = None) -> Response:
        """Return the log of the newest attempt as it stands, or its last `tail` lines."""
        job = self._views.resolve(reference)
        begin = 0 if tail is None else self._content.log_tail(job, tail)
        end = self._content.log_size(job)
        headers = {
            "Content-Length": str(max(0, end - begin)),
            "X-Atlas-Job": job.job_id,
            "X-Atlas-State": job.state.value,
        }
        return StreamingResponse(
            self._content.log_between(job, begin, end), media_type="text/plain", headers=headers
        )

    def stream(
        self, reference: str, attempt: _Whole = 0, offset: _Whole = 0, tail: _Whole | None = None
    ) -> Response:
        """Follow a job until it is over, as server-sent events `state` and `log`."""
        job = self._views.resolve(reference)
        if tail is not None:
            offset = self._content.log_tail(job, tail)
        stream = JobStream(self._views, self._content, self._feed, job.job_id)
        events = stream.events(attempt, offset)
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    def metric(self, reference: str, name: str, after: _Whole = 0, ranks: bool = False) -> Response:
        """Return points `[seq, time, step, value]` of one metric that follow `after`.

        With `ranks` each also has the rank of the process that logged it, or null.
        """
        job = self._views.resolve(reference)
        points = self._views.curve(job, name, after, _PAGE, ranks=ranks)
        if not points and not after:
            known = self._views.row(job)["metrics"]
            if name not in known:
                names = ", ".join(known) or "none"
                raise NotFound(
                    f"Job '{job.job_id}' has no metric '{name}'.", f"Its metrics: {names}."
                )
        return JSONResponse({"name": name, "points": points})

    def archive(self, reference: str, source: bool = True, results: bool = True) -> Response:
        """Return a gzipped tarball of the code as submitted and the files the job made."""
        job = self._views.resolve(reference)
        return self._tarball(job, self._archives.members(job, source=source, results=results))

    def artifacts(self, reference: str) -> Response:
        """Return a gzipped tarball of the newest version of each artifact."""
        job = self._views.resolve(reference)
        return self._tarball(job, self._archives.artifact_members(job))

    def _tarball(self, job: JobRecord, entries: Iterable[Entry]) -> Response:
        def members() -> Iterator[tuple[str, str, Any, Any]]:
            for entry in entries:
                if entry.kind in ("f", "x"):
                    yield (
                        entry.path,
                        entry.kind,
                        entry.size,
                        partial(self._content.open_blob, entry.value),
                    )
                else:
                    yield entry.path, entry.kind, entry.value, None

        def write(pipe: FileLike) -> None:
            write_tar(pipe, members(), job.job_id, mtime=job.submitted_at)  # type: ignore[arg-type]

        name = f'attachment; filename="{job.job_id}.tgz"'
        return StreamingResponse(
            written_by(write), media_type="application/gzip", headers={"Content-Disposition": name}
        )


def _states(words: list[str]) -> tuple[JobState, ...]:
    states = []
    for word in ",".join(words).split(","):
        if word:
            try:
                states.append(JobState(word.lower()))
            except ValueError:
                known = ", ".join(state.value for state in JobState)
                raise InvalidRequest(f"There is no status '{word}'.", f"Known: {known}.") from None
    return tuple(states)


def _tag(text: str) -> tuple[str, str | None]:
    key, separator, value = text.partition("=")
    return key, value if separator else None


def _spec_with(values: dict[str, Any]) -> JobSpec:
    try:
        return _SPEC.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{where}: {first['msg']}.") from error
