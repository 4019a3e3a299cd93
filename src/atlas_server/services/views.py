"""What the API shows of jobs and the queue: JSON-ready objects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from sqlalchemy import Connection

from atlas_server.archive.logs import LogArchive
from atlas_server.domain.answers.jobs import JobRow, PlainJob
from atlas_server.domain.records import AttemptRecord, JobFilter, JobRecord
from atlas_server.services.files import artifacts_told
from atlas_server.services.removed import refuse_removed
from atlas_server.services.rows import plain_row, rows_of
from atlas_server.store import events, jobs, retention, tracking
from atlas_server.store.engine import Store
from foundations.contract.codec import finite, plain
from foundations.contract.ids import is_job_id
from foundations.contract.states import JobKind, JobState
from foundations.errors import Ambiguous, NotFound

_ID_LETTERS = frozenset("0123456789abcdef-")
_LAST = re.compile("last(?:~([0-9]{1,18})?)?")
# Names are looked for among so many jobs: older ones have their IDs.
_NAMED = 1000


class Views:
    """Reads."""

    def __init__(self, store: Store, logs: LogArchive) -> None:
        self._store = store
        self._logs = logs

    def resolve(self, reference: str) -> JobRecord:
        """Return the job that an ID, a unique prefix of one, `last`, `last~N` or a name names.

        A name counts where one of the newest jobs has it, and only one of them.

        Raises NotFound or Ambiguous.
        """
        with self._store.read() as connection:
            job_id = _resolve(connection, reference)
            job = jobs.find(connection, job_id)
        if job is None:
            raise _no_job(reference)
        return job

    def attempts(self, job: JobRecord) -> list[AttemptRecord]:
        """Return the job's attempts, first one first."""
        with self._store.read() as connection:
            return jobs.attempts_of(connection, job.id)

    def rows(self, condition: JobFilter, limit: int) -> tuple[list[JobRow], int | None]:
        """Return listing rows, newest first, and the cursor of the next page."""
        with self._store.read() as connection:
            found = jobs.listing(connection, condition, limit)
            listed = rows_of(connection, found)
        return listed, found[-1].id if len(found) == limit else None

    def row(self, job: JobRecord) -> JobRow:
        """Return the listing row of one job."""
        with self._store.read() as connection:
            return rows_of(connection, [job])[0]

    def plain_row(self, job: JobRecord) -> PlainJob:
        """Return the listing row of one job without what it recorded.

        Its parameters are the ones that it was given.
        """
        return plain_row(job)

    def details(self, job: JobRecord) -> dict[str, Any]:
        """Return everything about one job."""
        with self._store.read() as connection:
            row: dict[str, Any] = {**rows_of(connection, [job])[0]}
            row["artifacts"] = artifacts_told(tracking.artifacts_of(connection, job.id))
            row["history"] = [
                {"time": event.time, "kind": event.kind, **event.payload}
                for event in events.of_job(connection, job.job_id)
            ]
            attempts = jobs.attempts_of(connection, job.id)
            row["removed"] = [plain(each) for each in retention.of_job(connection, job.id)]
        row["spec"] = finite(job.spec)
        row["environment"] = job.environment
        row["outputs"] = job.outputs
        row["attempt_list"] = [_attempt(attempt) for attempt in attempts]
        row["error"] = attempts[-1].error if attempts and job.state is JobState.FAILED else None
        row["log_size"] = self._logs.length(job.job_id, job.attempts) if job.attempts else 0
        return row

    def refuse_removed(self, job: JobRecord, what: str) -> None:
        """Raise Removed where a rule of retention removed `what` of a job."""
        with self._store.read() as connection:
            refuse_removed(connection, job, what)

    def curve(
        self, job: JobRecord, name: str, after: int, limit: int, *, ranks: bool = False
    ) -> list[list[Any]]:
        """Return points `[seq, time, step, value]` of one metric; with `ranks`, `rank` too."""
        with self._store.read() as connection:
            points = tracking.curve(connection, job.id, name, after, limit)
        return points if ranks else [point[:4] for point in points]

    def artifacts(self, job: JobRecord) -> list[dict[str, Any]]:
        """Return every version of the job's artifacts."""
        with self._store.read() as connection:
            return tracking.artifacts_of(connection, job.id)

    def counts(self) -> dict[str, int]:
        """Return the number of jobs in each state."""
        with self._store.read() as connection:
            return jobs.counts_by_state(connection)

    def by_ids(self, job_ids: Iterable[str]) -> dict[str, JobRecord]:
        """Return jobs by ID; those that do not exist are left out."""
        with self._store.read() as connection:
            return {job.job_id: job for job in jobs.with_ids(connection, job_ids)}

    def active(self) -> list[JobRecord]:
        """Return the jobs that hold resources, oldest first; none that run by themselves."""
        states = (JobState.STARTING, JobState.RUNNING, JobState.STOPPING)
        condition = JobFilter(states=states, kind=JobKind.SCHEDULED)
        with self._store.read() as connection:
            return jobs.listing(connection, condition, None)[::-1]


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    hidden = ("id", "job", "job_id", "token", "lease_until", "recoveries")
    return {name: value for name, value in plain(attempt).items() if name not in hidden}


def _resolve(connection: Connection, reference: str) -> str:
    last = _LAST.fullmatch(reference)
    if last is not None:
        found = jobs.newest_id(connection, int(last[1] or 0))
        if found is None:
            raise _no_job(reference)
        return found
    wanted = reference.lower() if set(reference.lower()) <= _ID_LETTERS else reference
    fitting = jobs.ids_with_prefix(connection, wanted, limit=6) if is_job_id(wanted) else []
    like_an_id = bool(wanted) and set(wanted) <= _ID_LETTERS
    if wanted not in fitting and not like_an_id:
        # IDs that people have chosen look like names, and names go before the beginnings of them.
        named = _named(connection, reference)
        if named is not None or not fitting:
            return named or _refuse(reference)
    if not fitting:
        raise _no_job(reference)
    if len(fitting) > 1 and wanted not in fitting:
        shown = ", ".join(fitting[:5]) + (", ..." if len(fitting) > 5 else "")
        raise Ambiguous(f"'{reference}' fits several jobs: {shown}", "Give more of the ID.")
    return wanted if wanted in fitting else fitting[0]


def _named(connection: Connection, name: str) -> str | None:
    newest = jobs.listing(connection, JobFilter(), _NAMED) if name else []
    fitting = [job.job_id for job in newest if job.name == name]
    if not fitting:
        return None
    if len(fitting) > 1:
        shown = ", ".join(fitting[:5]) + (", ..." if len(fitting) > 5 else "")
        raise Ambiguous(f"Several jobs are called '{name}': {shown}", "Give an ID.")
    return fitting[0]


def _refuse(reference: str) -> NoReturn:
    raise _no_job(reference)


def _no_job(reference: str) -> NotFound:
    return NotFound(f"There is no job '{reference}'.", "See the jobs with: foundations list")
