"""Jobs that run without a scheduler: they are there already, and are taken in as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain import leases
from atlas_server.domain.ports import Clock
from atlas_server.domain.records import AttemptRecord
from atlas_server.domain.resources import Allocation
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.specs import check_spec, split_secrets
from atlas_server.store import jobs as rows
from atlas_server.store.engine import Store
from foundations.contract.ids import is_job_id
from foundations.contract.report import Executed, Taken
from foundations.contract.states import JobKind
from foundations.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Terms:
    """What those who take jobs in are told: who we are, and how often they report (seconds)."""

    instance: str
    heartbeat: float
    grace: float
    lease: float


class ExecutedJobs:
    """Makes known what others run."""

    def __init__(
        self, store: Store, feed: Feed, bundles: Bundles, jobs: Jobs, clock: Clock, terms: Terms
    ) -> None:
        self._store = store
        self._feed = feed
        self._bundles = bundles
        self._jobs = jobs
        self._clock = clock
        self._terms = terms

    def take(self, told: Executed) -> Taken:
        """Write a job down as running, once, and return what reports of it have to say.

        One that is known and not over may have been told by somebody who has died: its attempt is
        handed on. Where its ID is another job's, the job gets a new one. Raises InvalidRequest,
        BlobsMissing or StorageFull.
        """
        if not is_job_id(told.job_id):
            raise InvalidRequest(f"{told.job_id!r} cannot be a job's ID.")
        if not math.isfinite(told.started_at):
            raise InvalidRequest("started_at is no time.")
        check_spec(told.spec)
        with self._bundles.in_use(told.spec.bundle), self._store.write(durable=True) as connection:
            known = rows.find(connection, told.job_id)
            if known is None:
                job_id, attempt = told.job_id, self._begin(connection, told.job_id, told)
            elif known.kind is JobKind.EXECUTED and not known.state.is_final:
                job_id, attempt = known.job_id, rows.attempts_of(connection, known.id)[-1]
            else:
                job_id = self._clock.new_id()
                attempt = self._begin(connection, job_id, told)
        self._feed.notify(job_id)
        terms = self._terms
        return Taken(
            job_id, attempt.id, attempt.token, terms.instance, terms.heartbeat, terms.grace
        )

    def _begin(self, connection: Connection, job_id: str, told: Executed) -> AttemptRecord:
        spec, secrets = split_secrets(told.spec)
        job = self._jobs.insert(
            connection,
            job_id,
            spec,
            secrets,
            JobKind.EXECUTED,
            min(told.started_at, self._clock.now()),
        )
        own = told.instance == self._terms.instance
        executor = leases.LOCAL if own else leases.ELSEWHERE
        nothing = Allocation(node=spec.origin.host or "unknown", cpus=0.0, memory=0)
        lease = leases.length(executor, self._terms.lease)
        # What the folder's file asks for is for whoever runs it again: nobody else repeats it.
        rows.set_values(connection, job.id, {"attempts": 1, "retries": 0, "timeout": None})
        return self._jobs.insert_attempt(
            connection, job, 1, nothing, executor, self._clock.now() + lease, job.started_at
        )
