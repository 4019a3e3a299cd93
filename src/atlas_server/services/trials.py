"""The trials of a search: how they begin and end. Used by the thread that runs searches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain.ports import Clock
from atlas_server.domain.records import JobRecord
from atlas_server.domain.search.definition import Objective
from atlas_server.domain.search.outcome import outcome
from atlas_server.domain.search.ports import TrialState
from atlas_server.domain.search.records import SearchRecord, SearchState, TrialRecord
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.store import events, jobs, searches, tracking
from atlas_server.store.engine import Store
from foundations.contract.spec import JobSpec
from foundations.contract.states import JobKind, JobState, StateReason
from foundations.errors import Refused

ReadSpec = Callable[[Mapping[str, Any]], JobSpec]
# Points of one curve that a study is told when it is made; the newest of very long ones.
_MOST_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that is over."""

    number: int
    job_id: str
    state: TrialState
    scores: list[float] | None
    started_at: float | None
    finished_at: float


class Trials:
    """Use cases of the thread that runs searches."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        bundles: Bundles,
        jobs: Jobs,
        clock: Clock,
        read_spec: ReadSpec,
    ) -> None:
        self._store = store
        self._feed = feed
        self._bundles = bundles
        self._jobs = jobs
        self._clock = clock
        self._read_spec = read_spec

    def going_on(self) -> tuple[int, list[SearchRecord]]:
        """Return the newest event's number, and the searches that are not over."""
        with self._store.read() as connection:
            return events.last_seq(connection), searches.going_on(connection)

    def changes(self, seq: int) -> tuple[int, set[str], dict[str, SearchRecord | None]]:
        """Return what happened since event `seq`: new number, jobs' IDs, searches by name."""
        ids: set[str] = set()
        names: dict[str, None] = {}
        with self._store.read() as connection:
            while found := events.since(connection, seq, 1000):
                seq = found[-1].seq
                ids |= {event.job_id for event in found if event.job_id}
                names.update(
                    (str(event.payload["search"]), None)
                    for event in found
                    if event.kind == "search.changed"
                )
            return seq, ids, {name: searches.find(connection, name) for name in names}

    def known(self, search: SearchRecord) -> list[TrialRecord]:
        """Return every trial of a search, with what its sampler noted down."""
        with self._store.read() as connection:
            return searches.trials_of(connection, search.id, memos=True)

    def curves(self, job_ids: Sequence[str], metric: str) -> dict[str, list[tuple[int, float]]]:
        """Return what trials have logged on their way, as (step, value), by job ID."""
        with self._store.read() as connection:
            found = searches.curves(connection, job_ids, metric)
        return {
            job_id: [(_step(seq, step), value) for seq, step, value in points]
            for job_id, points in found.items()
        }

    def curve(self, job_id: str, metric: str, after: int = 0) -> list[tuple[int, int, float]]:
        """Return the numbers that a trial logged after point `after`, as (seq, step, value).

        The step is what the job said, or else how many points came before.
        """
        with self._store.read() as connection:
            job = jobs.find(connection, job_id)
            if job is None:
                return []
            points = tracking.curve(connection, job.id, metric, after, _MOST_POINTS)
        return [
            (seq, _step(seq, step), float(value))
            for seq, _, step, value, _ in points
            if not isinstance(value, str)
        ]

    def begin(
        self, search: SearchRecord, number: int, point: dict[str, Any], params: dict[str, Any],
        memo: dict[str, Any],
    ) -> str | None:  # fmt: skip
        """Queue the job of a new trial: both are there, or neither.

        None: the search is not going on any more. Raises BlobsMissing or StorageFull.
        """
        job_id = self._clock.new_id()
        with self._bundles.in_use(search.bundle), self._store.write(durable=True) as connection:
            now = searches.by_key(connection, search.id)
            if now is None or now.state is not SearchState.RUNNING:
                return None
            # Its project may be called otherwise by now.
            spec = replace(
                self._read_spec(search.spec),
                project=now.project, params=params, name=f"{search.name}.{number}",
                search=search.name,
            )  # fmt: skip
            secrets = searches.secrets(connection, search.id)
            self._jobs.insert(connection, job_id, spec, secrets, JobKind.SCHEDULED)
            row = {
                "search": search.id, "number": number, "job_id": job_id,
                "state": TrialState.OPEN.value, "point": point, "memo": memo or None,
                "created_at": self._clock.now(),
            }  # fmt: skip
            searches.add_trial(connection, row)
            self._tell(connection, now)
        self._feed.notify(job_id)
        return job_id

    def settle(
        self,
        search: SearchRecord,
        numbers: Mapping[str, int],
        objectives: Sequence[Objective],
        memo: Callable[[int], dict[str, Any]],
    ) -> tuple[list[Ended], dict[str, float | None]]:
        """Write down which of these trials (number by job ID) are over.

        Also returns when the others began to run.
        """
        with self._store.read() as connection:
            found = {job.job_id: job for job in jobs.with_ids(connection, numbers)}
            metrics = tracking.latest_of(connection, [job.id for job in found.values()])
        running = {
            job_id: job.started_at for job_id, job in found.items() if not job.state.is_final
        }
        over = [job_id for job_id in numbers if job_id not in running]
        if not over:
            return [], running
        now = self._clock.now()
        ended: list[Ended] = []
        rows: list[dict[str, Any]] = []
        for job_id in over:
            job = found.get(job_id)
            logged = metrics.get(job.id, {}) if job is not None else {}
            state, scores, message = outcome(job, logged, objectives)
            trial = Ended(numbers[job_id], job_id, state, scores, *_times(job, now))
            ended.append(trial)
            rows.append(_end(search, trial, message, memo(trial.number)))
        with self._store.write() as connection:
            searches.end_trials(connection, rows)
            self._tell(connection, search)
        self._feed.announce()
        return ended, running

    def stop(self, job_id: str, reason: StateReason) -> None:
        """Stop the job of a trial, unless it is over."""
        with self._store.read() as connection:
            job = jobs.find(connection, job_id)
        if job is not None and not job.state.is_final and job.state is not JobState.STOPPING:
            try:
                self._jobs.stop(job, reason)
            except Refused:
                return  # it ended meanwhile

    def finish(self, search: SearchRecord, state: SearchState, message: str | None) -> bool:
        """Note that a search is over; False where somebody has changed it meanwhile."""
        now = self._clock.now()
        with self._store.write(durable=True) as connection:
            current = searches.by_key(connection, search.id)
            if current is None or current.state.is_final:
                return True
            if (current.state, current.definition) != (search.state, search.definition):
                return False
            values = {
                "state": state.value, "message": message, "finished_at": now,
                "active_since": None, "spent": current.seconds(now),
            }  # fmt: skip
            searches.set_values(connection, search.id, values)
            self._tell(connection, search)
        self._feed.announce()
        return True

    def _tell(self, connection: Connection, search: SearchRecord) -> None:
        announce(connection, search, self._clock.now())


def announce(connection: Connection, search: SearchRecord, now: float) -> None:
    """Add the event that something about a search has changed."""
    payload = {"search": search.name, "project": search.project}
    events.append(connection, now, "search.changed", None, payload)


def _step(seq: int, step: float | None) -> int:
    return int(step) if step is not None else seq - 1


def _times(job: JobRecord | None, now: float) -> tuple[float | None, float]:
    return (None, now) if job is None else (job.started_at, job.finished_at or now)


def _end(
    search: SearchRecord, trial: Ended, message: str | None, memo: dict[str, Any]
) -> dict[str, Any]:
    return {
        "of": search.id,
        "numbered": trial.number,
        "state_now": trial.state.value,
        "scores_now": trial.scores,
        "score_now": trial.scores[0] if trial.scores else None,
        "message_now": message,
        "started_at_now": trial.started_at,
        "finished_at_now": trial.finished_at,
        "memo_now": memo or None,
    }
