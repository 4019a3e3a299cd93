"""Endpoints of jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, Targets, Who, needs
from atlas_server.api.schema import answers
from atlas_server.api.specs import read_spec
from atlas_server.domain.answers.curves import Points
from atlas_server.domain.answers.jobs import (
    Difference,
    JobDetails,
    JobGone,
    JobList,
    JobRow,
    JobStateNow,
    PlainJob,
)
from atlas_server.domain.answers.system import Reproduction
from atlas_server.domain.records import JobFilter
from atlas_server.domain.reproduction import rerun_command, submit_commands
from atlas_server.domain.rights import Right
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.access import Access
from atlas_server.services.archives import Archives
from atlas_server.services.batches import Batches, Member
from atlas_server.services.edits import Edit, Edits
from atlas_server.services.executed import ExecutedJobs
from atlas_server.services.jobs import Jobs
from atlas_server.services.listings import Listings
from atlas_server.services.queries import Asked
from atlas_server.services.removal import Removal
from atlas_server.services.views import Views
from foundations.contract.codec import plain
from foundations.contract.report import Executed
from foundations.contract.spec import JobSpec
from foundations.contract.states import JobKind, JobState
from foundations.errors import InvalidRequest, NotFound

_PAGE = 10_000
# Numbers that the database and files can count to.
_Whole = Annotated[int, Query(ge=0, lt=1 << 63)]


class JobEdit(BaseModel):
    """What to change of a job; what is not there stays. `tags` are set, `untag` removed."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    notes: str | None = None
    tags: dict[str, str] = {}
    untag: list[str] = []


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
        edits: Edits,
        removal: Removal,
        scheduler: Scheduler,
        access: Access,
    ) -> None:
        self._jobs = jobs
        self._batches = batches
        self._executed = executed
        self._views = views
        self._listings = listings
        self._archives = archives
        self._edits = edits
        self._removal = removal
        self._scheduler = scheduler
        self._access = access

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(prefix="/jobs", tags=["jobs"])
        add = router.add_api_route
        add("", self.submit, methods=["POST"], status_code=201, **answers(PlainJob))
        add("", self.listing, methods=["GET"], **answers(JobList))
        add("/batch", self.submit_batch, methods=["POST"], status_code=201)
        add("/check", self.check, methods=["POST"])
        add("/executed", self.take, methods=["POST"])
        add("/{reference}", self.show, methods=["GET"], **answers(JobDetails))
        add("/{reference}", self.edit, methods=["PATCH"], **answers(JobRow))
        add("/{reference}", self.delete, methods=["DELETE"], **answers(JobGone))
        add("/{reference}/stop", self.stop, methods=["POST"], **answers(JobStateNow))
        add(
            "/{reference}/rerun", self.rerun, methods=["POST"], status_code=201, **answers(PlainJob)
        )
        add("/{reference}/diff/{other}", self.diff, methods=["GET"], **answers(Difference))
        add("/{reference}/metrics", self.metric, methods=["GET"], **answers(Points))
        add("/{reference}/reproduce", self.reproduce, methods=["GET"], **answers(Reproduction))
        return router

    @needs(Right.SUBMIT)
    def submit(
        self, who: Who, targets: Targets, spec: JobSpec, job_id: str | None = None
    ) -> Response:
        """Queue a job. The same `job_id` sent twice is one job."""
        job = self._jobs.submit(self._access.signed(who, spec), job_id)
        targets.append(job.job_id)
        return JSONResponse(self._views.plain_row(job), 201)

    @needs(Right.SUBMIT)
    def submit_batch(self, who: Who, targets: Targets, batch: Batch) -> Response:
        """Queue many jobs that differ in their parameters, all or none; answers their IDs."""
        job_ids = self._batches.submit(self._access.signed(who, batch.spec), batch.jobs)
        targets += job_ids
        return JSONResponse({"job_ids": job_ids}, 201)

    @needs(Right.SUBMIT, told=False)
    def check(self, spec: JobSpec) -> dict[str, Any]:
        """Tell whether a job would be accepted, without submitting it."""
        self._jobs.check(spec)
        return {"accepted": True}

    @needs(Right.SUBMIT)
    def take(self, who: Who, targets: Targets, body: Executed) -> Response:
        """Take in a job that runs, or ran, without a scheduler. The same sent twice is one job."""
        taken = self._executed.take(replace(body, spec=self._access.signed(who, body.spec)))
        targets.append(taken.job_id)
        return JSONResponse(plain(taken))

    @needs(Right.READ)
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

    @needs(Right.READ_JOB)
    def show(self, reference: str) -> Response:
        """Return everything about a job."""
        job = self._views.resolve(reference)
        details = self._views.details(job)
        waits = self._scheduler.why_waits(job.job_id) if job.state is JobState.QUEUED else None
        if waits is not None:
            details["jobs_ahead"], details["waits_because"] = waits
        return JSONResponse(details)

    @needs(Right.MANAGE_JOB)
    def edit(self, reference: str, edit: JobEdit) -> Response:
        """Change a job's name, notes or tags."""
        job = self._views.resolve(reference)
        values = edit.model_dump(include=edit.model_fields_set & {"name", "notes"})
        self._edits.edit([job.job_id], Edit(values, edit.tags, edit.untag))
        return JSONResponse(self._views.row(self._views.resolve(job.job_id)))

    @needs(Right.READ_JOB)
    def reproduce(self, reference: str) -> Response:
        """Return what to type to run the job again."""
        job = self._views.resolve(reference)
        told = {"command": rerun_command(job), "from_code": submit_commands(job)}
        return JSONResponse(told)

    @needs(Right.MANAGE_JOB)
    def delete(self, reference: str) -> dict[str, str]:
        """Delete a finished job, its logs, and the files that no other job has."""
        job = self._views.resolve(reference)
        self._removal.delete(job)
        return {"job_id": job.job_id}

    @needs(Right.MANAGE_JOB)
    def stop(self, reference: str) -> dict[str, str]:
        """Stop a job; answers its state, `stopping` until its worker has ended."""
        job = self._views.resolve(reference)
        return {"job_id": job.job_id, "state": self._jobs.stop(job).value}

    @needs(Right.COPY_JOB)
    def rerun(
        self, who: Who, targets: Targets, reference: str, changes: dict[str, Any]
    ) -> Response:
        """Queue a copy of a job; `changes` replaces fields of its spec."""
        job = self._views.resolve(reference)
        # The project may have another name by now.
        spec = read_spec({**job.spec, "project": job.project, **changes})
        same_worker = "worker" not in changes
        again = self._jobs.rerun(
            job,
            self._access.signed(who, spec),
            same_worker=same_worker,
            with_secrets=self._access.may_manage(who, job),
        )
        targets.append(again.job_id)
        return JSONResponse(self._views.plain_row(again), 201)

    @needs(Right.READ_JOB)
    def diff(self, reference: str, other: str) -> Response:
        """Return how two jobs differ."""
        first, second = self._views.resolve(reference), self._views.resolve(other)
        difference = self._archives.diff(first, second)
        return JSONResponse({"jobs": [first.job_id, second.job_id], **difference})

    @needs(Right.READ_JOB)
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
