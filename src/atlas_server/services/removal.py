"""Deletes jobs and projects for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from atlas_server.domain.ports import Clock
from atlas_server.domain.records import JobRecord
from atlas_server.services.archives import Archives
from atlas_server.services.feed import Feed
from atlas_server.store import catalogue, events, jobs, projects, tracking
from atlas_server.store.engine import Store
from foundations.errors import Refused

# Of so many jobs in one transaction: others want to write in between.
_BATCH = 100


class Removal:
    """Use cases that delete."""

    def __init__(self, store: Store, feed: Feed, archives: Archives, clock: Clock) -> None:
        self._store = store
        self._feed = feed
        self._archives = archives
        self._clock = clock

    def delete(self, job: JobRecord) -> None:
        """Forget a finished job, its logs and its files. Raises Refused for one that goes on."""
        if not job.state.is_final:
            raise Refused(
                f"Job '{job.job_id}' is {job.state.value}: only finished jobs can be deleted.",
                f"Stop it first: foundations stop scheduler {job.job_id}",
            )
        self.delete_all([job])

    def delete_all(self, found: Sequence[JobRecord]) -> dict[str, str]:
        """Forget the finished ones of these jobs; return of each other one why it stays."""
        refused = {
            job.job_id: f"Job '{job.job_id}' is {job.state.value}: only finished jobs can be"
            " deleted."
            for job in found
            if not job.state.is_final
        }
        finished = [job for job in found if job.state.is_final]
        for start in range(0, len(finished), _BATCH):
            batch = finished[start : start + _BATCH]
            self._delete(lambda _, batch=batch: batch)
        return refused

    def delete_due(self, due: Callable[[Connection], Sequence[JobRecord]], rule: str) -> int:
        """Forget finished jobs that are `due` by a rule when they go; return how many."""
        return self._delete(due, rule=rule)

    def delete_project(self, project: str) -> int:
        """Forget a project with all its jobs; return how many there were.

        Raises NotFound, or Refused where one of the jobs is not over.
        """
        with self._store.read() as connection:
            projects.find(connection, project)
            running = jobs.unfinished_of(connection, project)
        if running:
            raise Refused(
                f"{running} of the project's jobs {'is' if running == 1 else 'are'} not over.",
                f"Stop them first: foundations list --project '{project}' --status"
                " queued,starting,running",
            )
        count = 0
        while found := self._some(project):
            if self.delete_all(found):
                raise Refused("A job of the project was submitted meanwhile.", "Stop it first.")
            count += len(found)
        with self._store.write(durable=True) as connection:
            if not projects.remove(connection, project):
                raise Refused("A job of the project was submitted meanwhile.", "Stop it first.")
            now = self._clock.now()
            events.append(connection, now, "project.deleted", None, {"project": project})
        self._feed.announce()
        return count

    def _some(self, project: str) -> list[JobRecord]:
        with self._store.read() as connection:
            return jobs.of_project(connection, project, 10 * _BATCH)

    def _delete(self, chosen: Callable[[Connection], Sequence[JobRecord]], **why: str) -> int:
        with self._store.write(durable=True) as connection:
            batch = chosen(connection)
            keys = [job.id for job in batch]
            artifacts = {key: tracking.artifact_digests(connection, key) for key in keys}
            catalogue.forget(connection, keys)
            jobs.remove(connection, keys)
            now = self._clock.now()
            for job in batch:
                payload = {"project": job.project, **why}
                events.append(connection, now, "job.deleted", job.job_id, payload)
        for job in batch:
            self._archives.remove(job, artifacts[job.id])
            self._feed.notify(job.job_id)
        return len(batch)
