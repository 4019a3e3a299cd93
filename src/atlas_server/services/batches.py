"""Many jobs of one folder at once: a search, say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain.ports import Clock
from atlas_server.services.descriptions import describe
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.specs import check_text, checked_id, queued_row, split_secrets
from atlas_server.store import events, jobs, projects
from atlas_server.store.engine import Store
from foundations.contract.spec import JobSpec
from foundations.errors import InvalidRequest, Refused


@dataclass(frozen=True, slots=True)
class Member:
    """What one job of a batch has for itself."""

    job_id: str
    params: dict[str, Any] | None = None


class Batches:
    """Use cases over many jobs in one transaction."""

    def __init__(
        self, store: Store, feed: Feed, bundles: Bundles, clock: Clock, jobs: Jobs
    ) -> None:
        self._store = store
        self._feed = feed
        self._bundles = bundles
        self._clock = clock
        self._jobs = jobs

    def submit(self, spec: JobSpec, members: Sequence[Member]) -> list[str]:
        """Queue a job for each member, all or none; return their IDs, in their order.

        Members that have been submitted before are passed over, so that a client may send the same
        batch again where an answer was lost. Raises as `Jobs.submit` does.
        """
        spec = self._jobs.check(spec)
        for member in members:
            checked_id(member.job_id)
            check_text("params", member.params)
        wanted = {member.job_id: member.params for member in members}
        if len(wanted) != len(members):
            raise InvalidRequest("Two jobs of the batch have the same ID.")
        with self._bundles.in_use(spec.bundle), self._store.write(durable=True) as connection:
            for known in jobs.with_ids(connection, list(wanted)):
                if known.bundle != spec.bundle:
                    raise Refused(f"There is another job with the ID '{known.job_id}'.")
                del wanted[known.job_id]
            user = spec.user or "unknown"
            self._jobs.limits.check_room(connection, user, spec.project, len(wanted))
            self._insert(connection, spec, wanted)
        for job_id in wanted:
            self._feed.notify(job_id)
        return [member.job_id for member in members]

    def _insert(
        self, connection: Connection, spec: JobSpec, wanted: dict[str, dict[str, Any] | None]
    ) -> None:
        if not wanted:
            return
        now = self._clock.now()
        shown, secrets = split_secrets(spec)
        row = queued_row(shown, secrets, projects.ensure(connection, spec.project, now), now)
        jobs.insert_jobs(
            connection,
            [
                {**row, "job_id": job_id, "spec": {**row["spec"], "params": params or None}}
                for job_id, params in wanted.items()
            ],
        )
        keys = jobs.keys_of(connection, list(wanted))
        for job_id, params in wanted.items():
            describe(connection, keys[job_id], replace(shown, params=params or None))
        events.append_all(connection, now, "job.state", list(wanted), {"state": "queued"})
