"""The life of a job: the only place where a job's state changes.

Every change is one transaction: the state by compare-and-set, its event beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain import lifecycle
from atlas_server.domain.ports import Clock
from atlas_server.domain.records import AttemptRecord, JobFilter, JobRecord
from atlas_server.domain.resources import Allocation, Node, recorded
from atlas_server.services.descriptions import describe
from atlas_server.services.endings import ending_of, is_retried, message_of
from atlas_server.services.feed import Feed
from atlas_server.services.limits import LimitBook
from atlas_server.services.places import Places
from atlas_server.services.specs import MASK, check_spec, checked_id, queued_row, split_secrets
from atlas_server.services.workers import Workers, repeated
from atlas_server.store import events, jobs, projects, texts
from atlas_server.store.engine import Store
from foundations.contract.report import Result
from foundations.contract.spec import JobSpec
from foundations.contract.states import JobKind, JobState, StateReason
from foundations.errors import Refused

_OVER = {
    JobState.COMPLETED: "has already completed",
    JobState.FAILED: "has already failed",
    JobState.STOPPED: "has already been stopped",
    None: "has been deleted",
}


class Jobs:
    """Use cases that change jobs."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        bundles: Bundles,
        clock: Clock,
        nodes: Callable[[], Sequence[Node]],
        workers: Workers | None = None,
        limits: LimitBook | None = None,
        places: Places | None = None,
    ) -> None:
        self._store = store
        self._feed = feed
        self._bundles = bundles
        self._clock = clock
        self._nodes = nodes
        self._workers = workers or Workers()
        self.limits = limits or LimitBook(store, feed, bundles, clock)
        self._places = places or Places(nodes)

    def check(self, spec: JobSpec) -> JobSpec:
        """Return `spec` as it would be queued. Raises InvalidRequest or Refused."""
        spec = self._workers.settled(spec)
        check_spec(spec)
        spec = self._places.settled(spec)
        self.limits.check(spec)
        return spec

    def submit(self, spec: JobSpec, job_id: str | None = None) -> JobRecord:
        """Queue a job; when this returns the job survives a power cut.

        A client that chooses `job_id` may send the same job twice, where an answer was lost.
        Raises InvalidRequest, Refused, BlobsMissing or StorageFull; nothing is queued then.
        """
        return self._queue(self.check(spec), job_id)

    def _queue(self, spec: JobSpec, job_id: str | None) -> JobRecord:
        job_id = self._clock.new_id() if job_id is None else checked_id(job_id)
        shown, secrets = split_secrets(spec)
        # The lock keeps blobs that this job needs from being swept before its row is there.
        with self._bundles.in_use(spec.bundle), self._store.write(durable=True) as connection:
            known = jobs.find(connection, job_id)
            if known is not None:
                return _same_job(known, spec)
            self.limits.check_room(connection, spec.user or "unknown", spec.project, 1)
            job = self.insert(connection, job_id, shown, secrets, JobKind.SCHEDULED)
        self._feed.notify(job_id)
        return job

    def insert(
        self,
        connection: Connection,
        job_id: str,
        spec: JobSpec,
        secrets: dict[str, str],
        kind: JobKind,
        started_at: float | None = None,
    ) -> JobRecord:
        """Write down a new job, in the state in which its kind begins."""
        now = self._clock.now()
        state = lifecycle.BEGINNINGS[kind]
        project = projects.ensure(connection, spec.project, now)
        row = queued_row(spec, secrets, project, now)
        row |= {"job_id": job_id, "kind": kind.value, "state": state.value}
        if started_at is not None:
            row |= dict.fromkeys(("submitted_at", "queued_at", "started_at"), started_at)
        key = jobs.insert_job(connection, row)
        describe(connection, key, spec)
        since = now if started_at is None else started_at
        events.append(connection, since, "job.state", job_id, {"state": state.value})
        job = jobs.find(connection, job_id)
        assert job is not None
        return job

    def rerun(
        self,
        job: JobRecord,
        spec: JobSpec,
        *,
        same_worker: bool = True,
        with_secrets: bool = True,
    ) -> JobRecord:
        """Queue `spec`, a copy of the job's own with changes.

        Environment values that are masked in it are taken from the original, and so is the image,
        where its name may stand for another one by now, unless the worker is among the changes.
        The values are not for others than the job's user: without them Refused is raised where
        there are any.
        """
        with self._store.read() as connection:
            secrets = jobs.secrets(connection, job.id) if with_secrets else {}
        environment = {
            name: secrets.get(name, value) if value == MASK else value
            for name, value in spec.environment.items()
        }
        hidden = [name for name, value in environment.items() if value == MASK]
        if hidden and not with_secrets:
            raise Refused(
                f"The job's {', '.join(hidden)} is {job.user}'s secret, and not copied for others.",
                "Give values of your own: environment in the changes of the rerun.",
            )
        spec = replace(spec, environment=environment, rerun_of=job.job_id, search=None)
        asked, pin = repeated(job, spec, same_worker=same_worker)
        settled = self.check(asked)
        return self._queue(replace(settled, worker={**settled.worker, **pin}), None)

    def begin_attempt(
        self,
        job_id: str,
        allocation: Allocation,
        executor: str,
        lease: float,
        handle_of: Callable[[int], str | None] = lambda _: None,
    ) -> tuple[JobRecord, AttemptRecord, dict[str, str]] | None:
        """Move a queued job to starting and return what its runner needs; None: it is not queued.

        `handle_of` gives the handle of an attempt that has one before it is launched.
        """
        now = self._clock.now()
        with self._store.write() as connection:
            job = jobs.find(connection, job_id)
            if job is None or job.state is not JobState.QUEUED:
                return None
            number = job.attempts + 1
            # How an attempt before ended stands with that one.
            values = {"attempts": number, "not_before": None, "message": None}
            if not self._move(
                connection, job, JobState.STARTING, None, values, {"attempt": number}
            ):
                return None
            attempt = self.insert_attempt(
                connection, job, number, allocation, executor, now + lease
            )
            handle = handle_of(attempt.id)
            if handle is not None:
                jobs.update_attempt(connection, attempt.id, {"handle": handle})
            secrets = jobs.secrets(connection, job.id) if MASK in _environment(job) else {}
        # The scheduler, which calls this, need not be told.
        self._feed.notify(job_id, moved=False)
        return job, attempt, secrets

    def insert_attempt(
        self,
        connection: Connection,
        job: JobRecord,
        number: int,
        allocation: Allocation,
        executor: str,
        lease_until: float,
        started_at: float | None = None,
    ) -> AttemptRecord:
        """Write down a new attempt of a job."""
        values: dict[str, Any] = {
            "job": job.id,
            "number": number,
            "token": self._clock.new_token(),
            "executor": executor,
            "allocation": recorded(allocation, self._nodes()),
            "lease_until": lease_until,
            "recoveries": 0,
            "created_at": self._clock.now(),
            "started_at": started_at,
        }
        key = jobs.insert_attempt(connection, values)
        return AttemptRecord(id=key, job_id=job.job_id, **values)

    def mark_running(
        self, connection: Connection, job: JobRecord, attempt: AttemptRecord, at: float | None
    ) -> JobRecord:
        """Note that the worker has started, where that is news; return the job as it is then.

        `at` is when it did so by the runner's clock, which may not be ours.
        """
        if job.state is not JobState.STARTING:
            return job
        now = self._clock.now()
        at = now if at is None else min(max(at, attempt.created_at), now)
        jobs.update_attempt(connection, attempt.id, {"started_at": at})
        # What it waited for.
        values = {"started_at": at, "message": None}
        self._move(connection, job, JobState.RUNNING, None, values, {}, at)
        return replace(job, state=JobState.RUNNING, **values)

    def finish(
        self, connection: Connection, job: JobRecord, attempt: AttemptRecord, result: Result
    ) -> None:
        """End an attempt: the job is over, or queued again while it has retries left."""
        now = self._clock.now()
        ending = ending_of(job, result)
        told: dict[str, Any] = {
            "exit_code": result.exit_code,
            "message": message_of(ending, result, jobs.error_of(connection, attempt.id)),
            "usage": result.usage,
        }
        at = min(now, result.ended_at or now)
        reason = ending.reason.value if ending.reason else None
        jobs.update_attempt(connection, attempt.id, {"ended_at": at, "reason": reason, **told})
        values = {**told, "outputs": result.outputs}
        if is_retried(job, ending, result):
            again = now + lifecycle.retry_delay(job.attempts)
            values |= {"queued_at": now, "not_before": again, "started_at": None}
            payload = {"not_before": again, "attempt": job.attempts}
            self._move(connection, job, JobState.QUEUED, ending.reason, values, payload)
        else:
            values["finished_at"] = at
            self._move(connection, job, ending.state, ending.reason, values, {}, at)

    def give_up(
        self, attempt: AttemptRecord, message: str, reason: StateReason, *, began: bool = True
    ) -> None:
        """End an attempt whose runner cannot do so itself: it was lost, or never `began`."""
        with self._store.write(durable=True) as connection:
            job = jobs.find(connection, attempt.job_id)
            current = jobs.find_attempt(connection, attempt.id)
            # Numbers may be used again; tokens may be others since a runner has claimed them.
            if job is None or current is None or current.created_at != attempt.created_at:
                return  # deleted
            if current.ended_at is not None:
                return
            result = Result(reason=reason.value, message=message, began=began)
            self.finish(connection, job, attempt, result)
        self._feed.notify(attempt.job_id)

    def stop(self, job: JobRecord, reason: StateReason = StateReason.STOP_REQUESTED) -> JobState:
        """Stop a job: one that waits is over at once, one that runs is asked to end.

        Stopping twice is harmless; the first reason stays. Raises Refused for one that is over.
        """
        with self._store.write(durable=True) as connection:
            current = jobs.find(connection, job.job_id)
            if current is None or current.state.is_final:
                raise Refused(f"Job '{job.job_id}' {_OVER[current.state if current else None]}.")
            state = self._stop(connection, current, reason)
        self._feed.notify(job.job_id)
        return state

    def stop_all(
        self, job_ids: Sequence[str], reason: StateReason = StateReason.STOP_REQUESTED
    ) -> dict[str, str]:
        """Stop many jobs in one transaction; return of each that cannot be stopped why."""
        refused: dict[str, str] = {}
        with self._store.write(durable=True) as connection:
            found = {job.job_id: job for job in jobs.with_ids(connection, job_ids)}
            for job_id in job_ids:
                job = found.get(job_id)
                if job is None or job.state.is_final:
                    refused[job_id] = f"Job '{job_id}' {_OVER[job.state if job else None]}."
                else:
                    self._stop(connection, job, reason)
        for job_id in found.keys() - refused.keys():
            self._feed.notify(job_id)
        return refused

    def clear_queue(self, project: str | None, user: str | None) -> list[str]:
        """Stop every waiting job (of a project, of a user) and return their IDs."""
        reason = StateReason.STOP_REQUESTED
        condition = JobFilter(project=project, user=user, states=(JobState.QUEUED,))
        state = lifecycle.transition(JobState.QUEUED, JobState.STOPPED, reason)
        now = self._clock.now()
        values = {"finished_at": now, "reason": reason.value}
        with self._store.write(durable=True) as connection:
            cleared = jobs.move_all(connection, condition, state, values)
            payload = {"state": state.value, "reason": reason.value}
            events.append_all(connection, now, "job.state", cleared, payload)
        for job_id in cleared:
            self._feed.notify(job_id)
        return cleared

    def _stop(self, connection: Connection, job: JobRecord, reason: StateReason) -> JobState:
        if job.state is JobState.QUEUED:
            values = {"finished_at": self._clock.now()}
            self._move(connection, job, JobState.STOPPED, reason, values, {})
            return JobState.STOPPED
        if job.state is not JobState.STOPPING:
            self._move(connection, job, JobState.STOPPING, reason, {}, {})
        return JobState.STOPPING

    def _move(
        self,
        connection: Connection,
        job: JobRecord,
        state: JobState,
        reason: StateReason | None,
        values: dict[str, Any],
        payload: dict[str, Any],
        at: float | None = None,
    ) -> bool:
        lifecycle.transition(job.state, state, reason)
        word = reason.value if reason else None
        if not jobs.move(connection, job, state, {"reason": word, **values}):
            return False
        if "message" in values and values["message"] != job.message:
            texts.refresh(connection, job.id)
        described = {"state": state.value, "reason": word, **payload}
        time = self._clock.now() if at is None else at
        events.append(connection, time, "job.state", job.job_id, described)
        return True


def _same_job(known: JobRecord, spec: JobSpec) -> JobRecord:
    if known.bundle != spec.bundle or known.spec["command"] != spec.command:
        raise Refused(f"There is another job with the ID '{known.job_id}'.")
    return known


def _environment(job: JobRecord) -> Collection[str]:
    return job.spec["environment"].values()
