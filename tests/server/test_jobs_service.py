"""The life of jobs in a real database, whatever scheduler, runners and users do, in any order."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from tests.databases import Databases

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.domain.lifecycle import TRANSITIONS
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import Allocation, Node
from atlas_server.services.archives import Archives
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.removal import Removal
from atlas_server.services.runners import Runners
from atlas_server.store import events, jobs
from atlas_server.store.engine import Store
from foundations.blobs import BlobDir
from foundations.contract import report as phases
from foundations.contract.manifest import encode
from foundations.contract.report import JournalBatch, Report, Result
from foundations.contract.spec import JobSpec
from foundations.contract.states import FINAL_STATES, JobState, StateReason
from foundations.errors import Fenced, Refused

NODE = Node("here", 4.0, 1 << 30, ())
FREE_STARTS = 3

results = st.one_of(
    st.builds(Result, exit_code=st.sampled_from([0, 0, 1, 137])),
    st.builds(Result, reason=st.sampled_from(["lost", "start_failed", "timed_out"])),
    st.just(Result(exit_code=1, reason="out_of_memory")),
    st.just(Result(reason="requirements_failed")),
    st.just(Result(reason="stop_requested")),
    st.just(Result(reason="lost", began=False)),
)


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self._count = 0

    def now(self) -> float:
        return self.time

    def new_id(self) -> str:
        self._count += 1
        return f"{self._count:08x}-0000-4000-8000-000000000000"

    def new_token(self) -> str:
        self._count += 1
        return f"token-{self._count}"


class LifeOfJobs(RuleBasedStateMachine):
    """Everybody who may change a job does so at random."""

    job_ids = Bundle("job_ids")
    attempts = Bundle("attempts")

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases

    @initialize()
    def open_store(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.clock = Clock()
        self.where = self.databases.new(root)
        self.store = Store(self.where)
        blobs = BlobDir(str(root / "blobs"))
        self.digest = blobs.put_bytes(encode([]), durable=False)
        feed = Feed()
        bundles, logs = Bundles(blobs), LogArchive(root / "logs")
        samples = SampleArchive(root / "measured")
        self.jobs = Jobs(self.store, feed, bundles, self.clock, lambda: [NODE])
        archives = Archives(self.store, bundles, {"logs": logs, "samples": samples})
        self.removal = Removal(self.store, feed, archives, self.clock)
        self.runners = Runners(self.store, feed, logs, samples, self.jobs, self.clock, 30.0)
        self.ended: dict[str, JobState] = {}
        self.points: dict[int, int] = {}

    def teardown(self) -> None:
        self.store.close()
        self.databases.drop(self.where)
        self.folder.cleanup()

    # -- what users do

    @rule(target=job_ids, retries=st.integers(0, 2))
    def submit(self, retries: int) -> str:
        spec = JobSpec("p", self.digest, ["main.py"], retries=retries)
        job = self.jobs.submit(spec)
        # Sent again, because the answer was lost.
        assert self.jobs.submit(spec, job.job_id).job_id == job.job_id
        return job.job_id

    @rule(job_id=job_ids)
    def stop(self, job_id: str) -> None:
        job = self._job(job_id)
        if job is None:
            return
        if job.state.is_final:
            with pytest.raises(Refused):
                self.jobs.stop(job)
        else:
            state = self.jobs.stop(job)
            assert state in (JobState.STOPPED, JobState.STOPPING)

    @rule(job_id=consumes(job_ids))
    def delete(self, job_id: str) -> None:
        job = self._job(job_id)
        if job is not None and job.state.is_final:
            self.removal.delete(job)
            assert self._job(job_id) is None
            self.ended.pop(job_id, None)
        elif job is not None:
            with pytest.raises(Refused):
                self.removal.delete(job)

    @rule()
    def clear(self) -> None:
        for job_id in self.jobs.clear_queue(None, None):
            job = self._job(job_id)
            assert job is not None
            assert job.state is JobState.STOPPED

    # -- what the scheduler does

    @rule(target=attempts, job_id=job_ids)
    def begin(self, job_id: str) -> object:
        before = self._job(job_id)
        begun = self.jobs.begin_attempt(job_id, Allocation("here", 1.0, 0, ()), "local", 30.0)
        assert (begun is not None) == (before is not None and before.state is JobState.QUEUED)
        return multiple() if begun is None else begun[1]

    @rule(attempt=attempts)
    def give_up(self, attempt: AttemptRecord) -> None:
        self.jobs.give_up(attempt, "gone", StateReason.LOST)

    # -- what runners do, also those that have been given up

    @rule(attempt=attempts, phase=st.sampled_from([phases.PREPARING, phases.RUNNING]))
    def report_progress(self, attempt: AttemptRecord, phase: str) -> None:
        n = self.points.get(attempt.id, 0) + 1
        line = {"n": n, "t": 1.0, "k": "metric", "key": f"m{attempt.id}", "value": n}
        batch = JournalBatch("w", n, [line])
        if self._send(attempt, Report(attempt.id, "here", phase, runner="1:1:1", journal=[batch])):
            self.points[attempt.id] = n

    @rule(attempt=attempts, result=results, twice=st.booleans())
    def report_end(self, attempt: AttemptRecord, result: Result, twice: bool) -> None:
        report = Report(attempt.id, "here", phases.FINISHED, runner="1:1:1", result=result)
        accepted = self._send(attempt, report)
        if accepted and twice:
            after = self._job(attempt.job_id)
            self._send(attempt, report)
            assert self._job(attempt.job_id) == after

    @rule(attempt=attempts)
    def report_with_a_wrong_token(self, attempt: AttemptRecord) -> None:
        with pytest.raises(Fenced):
            self.runners.report("guessed", Report(attempt.id, "here", phases.RUNNING))

    @rule()
    def time_passes(self) -> None:
        self.clock.time += 20

    # -- what always holds

    @invariant()
    def histories_are_legal(self) -> None:
        for job in self._all():
            with self.store.read() as connection:
                moves = [
                    JobState(event.payload["state"])
                    for event in events.of_job(connection, job.job_id)
                ]
            assert moves[0] is JobState.QUEUED
            assert moves[-1] is job.state
            for before, after in itertools.pairwise(moves):
                assert after in TRANSITIONS[before]

    @invariant()
    def ends_are_final(self) -> None:
        for job in self._all():
            if job.job_id in self.ended:
                assert job.state is self.ended[job.job_id]
            elif job.state in FINAL_STATES:
                self.ended[job.job_id] = job.state
                assert job.finished_at is not None

    @invariant()
    def attempts_fit_the_state(self) -> None:
        for job in self._all():
            with self.store.read() as connection:
                found = jobs.attempts_of(connection, job.id)
            assert [attempt.number for attempt in found] == list(range(1, job.attempts + 1))
            unfinished = [attempt.number for attempt in found if attempt.ended_at is None]
            active = job.state in (JobState.STARTING, JobState.RUNNING, JobState.STOPPING)
            assert unfinished == ([job.attempts] if active else [])
            assert job.attempts <= job.retries + 1 + FREE_STARTS

    def _send(self, attempt: AttemptRecord, report: Report) -> bool:
        try:
            self.runners.report(attempt.token, report)
        except Fenced:
            with self.store.read() as connection:
                now = jobs.find_attempt(connection, attempt.id)
            # Its row may be gone, and the number another attempt's.
            assert now is None or now.token != attempt.token or now.ended_at is not None
            return False
        return True

    def _job(self, job_id: str) -> JobRecord | None:
        with self.store.read() as connection:
            return jobs.find(connection, job_id)

    def _all(self) -> list[JobRecord]:
        with self.store.read() as connection:
            return jobs.listing(connection, jobs.JobFilter(), 1000)


def test_life_of_jobs(databases):
    run_state_machine_as_test(
        lambda: LifeOfJobs(databases),
        settings=settings(
            deadline=None,
            max_examples=20,
            stateful_step_count=30,
            # Not the explanation of a failure, which runs for minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
