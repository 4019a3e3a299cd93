"""What runners report: logs, journals, phases and ends of attempts."""

from __future__ import annotations

import base64
import hmac
from contextlib import suppress
from typing import Any, cast

from sqlalchemy import Connection

from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.domain import leases, reports
from atlas_server.domain.ports import Clock
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import GIVEN, Allocation
from atlas_server.services import tracking
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.store import jobs as rows
from atlas_server.store.engine import Store
from foundations.contract import events
from foundations.contract import report as phases
from foundations.contract.codec import plain
from foundations.contract.report import Reply, Report
from foundations.contract.states import JobState
from foundations.errors import Fenced, InvalidRequest


class Runners:
    """Use cases of the runner's side of the API."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        logs: LogArchive,
        samples: SampleArchive,
        jobs: Jobs,
        clock: Clock,
        lease: float,
    ) -> None:
        self._store = store
        self._feed = feed
        self._logs = logs
        self._samples = samples
        self._jobs = jobs
        self._clock = clock
        self._lease = lease

    def report(self, token: str, report: Report) -> Reply:
        """Take in a report. Sending it twice is harmless.

        Raises Fenced when the attempt has been given up or the token is not its own.
        """
        reports.check(report)
        if _is_light(report):
            with self._store.read() as connection:
                attempt, job = self._current(connection, token, report)
            if not self._news(attempt, report):
                size = self._append_log(job, attempt, report)
                self._feed.notify(job.job_id, moved=False, logged=True)
                return Reply(size, job.state is JobState.STOPPING)
        finished = report.result is not None
        try:
            attempt, job, size = self._write_down(token, report)
        except _Late as late:
            # In a transaction of its own: this one ends with the error.
            self._keep_late_result(late.attempt, report)
            raise
        # Where it starts to run makes no difference to the scheduler, unless with other devices
        # than was thought; where it ends does.
        moved = finished or bool(_given(attempt, report))
        self._feed.notify(job.job_id, moved=moved, recorded=bool(report.journal))
        return Reply(size, job.state is JobState.STOPPING)

    def _write_down(self, token: str, report: Report) -> tuple[AttemptRecord, JobRecord, int]:
        if _is_of_one_job(report):
            # Nothing of it is lost where it turns out to move the job: it is done again.
            with suppress(_MovesJob):
                return self._written(token, report, report.attempt)
        return self._written(token, report, None)

    def _written(
        self, token: str, report: Report, only: int | None
    ) -> tuple[AttemptRecord, JobRecord, int]:
        durable = report.result is not None
        with self._store.write(durable=durable, attempt=only) as connection:
            attempt, job = self._current(connection, token, report)
            if only is not None and job.state is JobState.STARTING:
                raise _MovesJob
            size = self._append_log(job, attempt, report)
            if attempt.ended_at is None:
                self._take_in(connection, job, attempt, report)
        return attempt, job, size

    def _news(self, attempt: AttemptRecord, report: Report) -> bool:
        """Whether a report that brings no more than log lines has to be written down after all."""
        return (
            report.runner != attempt.handle
            or (_has_started(report) and attempt.started_at is None)
            or attempt.lease_until - self._clock.now() < self._lease_of(attempt) / 2
        )

    def _lease_of(self, attempt: AttemptRecord) -> float:
        return leases.length(attempt.executor, self._lease)

    def _take_in(
        self, connection: Connection, job: JobRecord, attempt: AttemptRecord, report: Report
    ) -> None:
        now = self._clock.now()
        values: dict[str, object] = {"lease_until": now + self._lease_of(attempt)}
        if report.runner and report.runner != attempt.handle:
            values["handle"] = report.runner
        rows.update_attempt(connection, attempt.id, values)
        tracking.take_in(connection, attempt, report.journal, now)
        samples = tracking.samples_in(report.journal, now)
        if samples:
            self._samples.append(job.job_id, samples)
        if report.environment is not None:
            environment = reports.readable(report.environment)
            rows.set_values(connection, job.id, {"environment": environment})
            if given := _given(attempt, report):
                noted = {**attempt.allocation, GIVEN: given}
                rows.update_attempt(connection, attempt.id, {"allocation": noted})
        if _has_started(report):
            job = self._jobs.mark_running(connection, job, attempt, report.started_at)
        if report.result is not None:
            self._jobs.finish(connection, job, attempt, report.result)

    def _current(
        self, connection: Connection, token: str, report: Report
    ) -> tuple[AttemptRecord, JobRecord]:
        attempt, job = current_attempt(connection, token, report.attempt)
        if attempt.ended_at is not None and not _same_end(attempt, report):
            raise _Late(attempt, job)
        return attempt, job

    def _keep_late_result(self, attempt: AttemptRecord, report: Report) -> None:
        if report.result is None or attempt.late_result is not None:
            return
        with self._store.write() as connection:
            late = {"late_result": plain(report.result)}
            rows.update_attempt(connection, attempt.id, late)

    def _append_log(self, job: JobRecord, attempt: AttemptRecord, report: Report) -> int:
        if not report.log:
            return self._logs.length(job.job_id, attempt.number)
        try:
            data = base64.b64decode(report.log, validate=True)
        except ValueError as error:
            raise InvalidRequest("The log of the report is not base64.") from error
        return self._logs.append(job.job_id, attempt.number, report.log_offset, data)


def current_attempt(
    connection: Connection, token: str, attempt_id: int
) -> tuple[AttemptRecord, JobRecord]:
    """Return an attempt and its job to whoever has the attempt's token. Raises Fenced."""
    attempt = rows.find_attempt(connection, attempt_id)
    job = rows.find(connection, attempt.job_id) if attempt else None
    if attempt is None or job is None or not _same(attempt.token, token):
        raise Fenced("This attempt does not exist, or the token is not its own.")
    return attempt, job


def _same(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode())


def _given(attempt: AttemptRecord, report: Report) -> list[str]:
    """Return the devices that a runner tells it was given, where these are others than we know."""
    told = (report.environment or {}).get("devices")
    if not told or not isinstance(told, list):
        return []
    given = [str(each) for each in cast("list[Any]", told)]
    known = [uuid for uuid, _ in Allocation.from_json(attempt.allocation).gpus]
    return given if sorted(given) != sorted(known) else []


def _has_started(report: Report) -> bool:
    """Whether the worker runs or has run; a first report may bring both the start and the end."""
    if report.result is not None:
        return report.result.exit_code is not None
    return report.phase == phases.RUNNING


def _same_end(attempt: AttemptRecord, report: Report) -> bool:
    """Whether the report tells an end that has been taken in: its answer was lost on the way."""
    return (
        report.result is not None
        and attempt.usage == report.result.usage
        and attempt.exit_code == report.result.exit_code
    )


def _is_light(report: Report) -> bool:
    """Whether a report brings log lines at most."""
    return not report.journal and report.environment is None and report.result is None


def _is_of_one_job(report: Report) -> bool:
    """Whether a report brings what one process recorded of its job, and no more."""
    return (
        len(report.journal) == 1
        and report.environment is None
        and report.result is None
        and not any(line.get("k") == events.PROJECT for line in report.journal[0].events)
    )


class _MovesJob(Exception):
    """The job's state changes, too."""


class _Late(Fenced):
    """The attempt has been given up; its result is kept beside what was decided."""

    def __init__(self, attempt: AttemptRecord, job: JobRecord) -> None:
        super().__init__(f"Attempt {attempt.number} of job '{job.job_id}' has been given up.")
        self.attempt = attempt
