"""Jobs that run without a scheduler, as the server writes them down."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.databases import Databases

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.domain.lifecycle import BEGINNINGS, TRANSITIONS
from atlas_server.domain.resources import Node
from atlas_server.services.executed import ExecutedJobs, Terms
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.leases import Leases
from atlas_server.services.runners import Runners
from atlas_server.services.views import Views
from atlas_server.store import catalogue
from atlas_server.store import jobs as rows
from atlas_server.store.engine import Store
from foundations.blobs import BlobDir
from foundations.contract import report as phases
from foundations.contract.manifest import encode
from foundations.contract.report import Executed, JournalBatch, Report, Result, Taken
from foundations.contract.spec import JobSpec, Origin, Resources
from foundations.contract.states import JobKind, JobState
from foundations.errors import BlobsMissing, InvalidRequest

LEASE = 30.0
DAY = 86400.0


class Clock:
    """Time that tests set."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self._ids = iter(f"00000000-0000-4000-8000-{n:012}" for n in range(1000))

    def now(self) -> float:
        return self.time

    def new_id(self) -> str:
        return next(self._ids)

    def new_token(self) -> str:
        return "secret"


@dataclass
class World:
    clock: Clock
    store: Store
    jobs: Jobs
    executed: ExecutedJobs
    runners: Runners
    leases: Leases
    views: Views
    bundle: str

    def told(self, job_id: str = "job-1", **changes: object) -> Executed:
        spec = JobSpec(
            project="vision",
            bundle=self.bundle,
            command=["main.py"],
            user="ada",
            retries=3,
            timeout=60.0,
            resources=Resources(gpus=64),
            origin=Origin(host="laptop"),
        )
        values = {"started_at": self.clock.time - 5, "instance": "mine", **changes}
        return Executed(job_id=job_id, spec=spec, **values)  # type: ignore[arg-type]

    def report(self, taken: Taken, **news: object) -> None:
        values = {"phase": phases.RUNNING, "instance": "mine", **news}
        self.runners.report(taken.token, Report(attempt=taken.attempt, **values))  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path, databases: Databases):
    with databases.store(tmp_path) as store:
        yield world_of(store, tmp_path)


def world_of(store: Store, tmp_path: Path) -> World:
    clock, feed = Clock(), Feed()
    bundles, logs = Bundles(BlobDir(str(tmp_path / "blobs"))), LogArchive(tmp_path / "logs")
    bundle, _ = bundles.receive(encode([]))
    node = Node("here", 4.0, 1 << 30, ())
    jobs = Jobs(store, feed, bundles, clock, lambda: (node,))
    samples = SampleArchive(tmp_path / "samples")
    return World(
        clock,
        store,
        jobs,
        ExecutedJobs(store, feed, bundles, jobs, clock, Terms("mine", 10.0, 5.0, LEASE)),
        Runners(store, feed, logs, samples, jobs, clock, LEASE),
        Leases(store, clock, LEASE),
        Views(store, logs),
        bundle,
    )


def test_every_kind_begins_somewhere_from_where_it_can_end():
    assert set(BEGINNINGS) == set(JobKind)
    assert all(TRANSITIONS[state] for state in BEGINNINGS.values())


def test_a_job_is_running_from_the_beginning(world):
    taken = world.executed.take(world.told())
    job = world.views.resolve("job-1")
    assert (job.state, job.kind, job.attempts) == (JobState.RUNNING, JobKind.EXECUTED, 1)
    assert job.started_at == job.submitted_at == world.clock.time - 5
    details = world.views.details(job)
    assert [event["state"] for event in details["history"]] == ["running"]
    (attempt,) = details["attempt_list"]
    assert attempt["allocation"] == {"node": "laptop", "cpus": 0.0, "memory": 0, "gpus": []}
    assert (taken.job_id, taken.token, taken.instance) == ("job-1", "secret", "mine")


def test_what_it_asks_for_is_for_running_it_again(world):
    # No node here has 64 GPUs, and nobody ends or repeats what was not started here.
    world.executed.take(world.told())
    job = world.views.resolve("job-1")
    assert job.spec["resources"]["gpus"] == 64
    assert (job.spec["retries"], job.spec["timeout"]) == (3, 60.0)
    assert (job.retries, job.timeout) == (0, None)


def test_telling_twice_is_one_job(world):
    first = world.executed.take(world.told())
    assert world.executed.take(world.told()) == first
    assert len(world.views.rows(_all(), 10)[0]) == 1


def test_an_id_of_another_job_is_not_given_again(world):
    first = world.executed.take(world.told())
    world.report(first, phase=phases.FINISHED, result=Result(exit_code=0))
    second = world.executed.take(world.told())
    assert second.job_id != first.job_id
    assert world.views.resolve(second.job_id).state is JobState.RUNNING


@pytest.mark.parametrize("job_id", ["", "last", "../x", "a/b", "x" * 37, ".hidden", "é"])
def test_what_cannot_be_an_id_is_refused(world, job_id):
    with pytest.raises(InvalidRequest):
        world.executed.take(world.told(job_id))


def test_a_time_that_is_none_is_refused_and_one_to_come_is_now(world):
    with pytest.raises(InvalidRequest):
        world.executed.take(world.told(started_at=math.nan))
    world.executed.take(world.told(started_at=world.clock.time + 500))
    assert world.views.resolve("job-1").started_at == world.clock.time


def test_code_has_to_be_there_first(world):
    told = world.told()
    spec = JobSpec(project="p", bundle="0" * 64, command=["x"])
    with pytest.raises(BlobsMissing):
        world.executed.take(Executed(told.job_id, spec, told.started_at))
    assert world.views.rows(_all(), 10)[0] == []


def test_an_end_that_is_told_later_was_when_it_was(world):
    taken = world.executed.take(world.told(started_at=world.clock.time - 3 * DAY))
    ended_at = world.clock.time - 2 * DAY
    result = Result(exit_code=1, reason="nonzero_exit", message="code 1", ended_at=ended_at)
    world.report(taken, phase=phases.FINISHED, result=result)
    job = world.views.resolve("job-1")
    assert (job.state, job.finished_at) == (JobState.FAILED, ended_at)
    history = world.views.details(job)["history"]
    assert [event["time"] for event in history] == [world.clock.time - 3 * DAY, ended_at]


def journal(*events: dict[str, object], writer: str = "w") -> list[JournalBatch]:
    return [JournalBatch(writer, 1, [{"n": n, "t": 1.0, **e} for n, e in enumerate(events, 1)])]


def error(message: str, **more: object) -> dict[str, object]:
    return {"k": "error", "type": "ValueError", "message": message, "traceback": "...", **more}


def test_the_exception_that_ended_a_program_is_its_message(world):
    taken = world.executed.take(world.told())
    world.report(taken, journal=journal(error("bad rate\nmore", r=1, round=0)))
    result = Result(exit_code=1, reason="nonzero_exit", message="The program exited with code 1.")
    world.report(taken, phase=phases.FINISHED, result=result)
    details = world.views.details(world.views.resolve("job-1"))
    assert details["message"] == "ValueError: bad rate"
    assert details["error"]["rank"] == 1
    assert details["attempt_list"][0]["error"]["message"] == "bad rate\nmore"


def test_the_first_exception_of_the_last_round_counts(world):
    taken = world.executed.take(world.told())
    for number, (text, round_) in enumerate([("a", 0), ("b", 0), ("c", 1), ("d", 1), ("e", 0)]):
        world.report(taken, journal=journal(error(text, round=round_), writer=f"w{number}"))
    result = Result(exit_code=1, reason="nonzero_exit")
    world.report(taken, phase=phases.FINISHED, result=result)
    assert world.views.details(world.views.resolve("job-1"))["error"]["message"] == "c"


def test_an_exception_that_did_not_matter_is_not_shown(world):
    taken = world.executed.take(world.told())
    world.report(taken, journal=journal(error("of the first round")))
    world.report(taken, phase=phases.FINISHED, result=Result(exit_code=0))
    details = world.views.details(world.views.resolve("job-1"))
    assert (details["state"], details["message"], details["error"]) == ("completed", None, None)


def test_ranks_of_points_are_there_for_those_who_ask(world):
    taken = world.executed.take(world.told())
    points = [{"k": "metric", "key": "loss", "value": n, "r": n} for n in range(2)]
    world.report(taken, journal=journal(*points, {"k": "metric", "key": "loss", "value": 9}))
    job = world.views.resolve("job-1")
    assert [p[3] for p in world.views.curve(job, "loss", 0, 10)] == [0, 1, 9]
    assert [p[4] for p in world.views.curve(job, "loss", 0, 10, ranks=True)] == [0, 1, None]


def test_whoever_ships_from_afar_may_be_silent_for_days(world):
    near = world.executed.take(world.told("near"))
    far = world.executed.take(world.told("far", instance=""))
    for taken, days in ((near, LEASE / DAY), (far, 7.0)):
        assert world.leases.until(taken.attempt) == world.clock.time + days * DAY
    world.clock.time += 100
    for taken in (near, far):
        world.report(taken, runner="1:1:boot")
    assert world.leases.until(far.attempt) == world.clock.time + 7 * DAY
    with world.store.read() as connection:
        attempts = [rows.find_attempt(connection, taken.attempt) for taken in (near, far)]
    world.clock.time += 100
    world.leases.renew([attempt for attempt in attempts if attempt])
    assert world.leases.until(near.attempt) == world.clock.time + LEASE
    assert world.leases.until(far.attempt) == world.clock.time + 7 * DAY
    assert not world.leases.is_silent(far.attempt, world.clock.time + LEASE - 1)
    assert world.leases.is_silent(far.attempt, world.clock.time + LEASE + 1)


def test_kinds_can_be_listed(world):
    world.executed.take(world.told("one"))
    world.jobs.submit(JobSpec(project="vision", bundle=world.bundle, command=["main.py"]))
    kinds = {kind: world.views.rows(_all(kind), 10)[0] for kind in (None, *JobKind)}
    assert [len(kinds[kind]) for kind in (None, JobKind.SCHEDULED, JobKind.EXECUTED)] == [2, 1, 1]
    assert kinds[JobKind.EXECUTED][0]["kind"] == "executed"
    assert [job.kind for job in world.views.active()] == []


def _all(kind: JobKind | None = None):
    from atlas_server.domain.records import JobFilter

    return JobFilter(kind=kind)


def test_many_report_at_the_same_time(world):
    """Of the same project, with the same names in another order."""
    takens = [world.executed.take(world.told(f"job-{n}")) for n in range(5)]
    names = ["loss", "accuracy", "rate", "time"]
    failures: list[BaseException] = []

    def report(place: int) -> None:
        taken = takens[place]
        own = names[place % 4 :] + names[: place % 4]
        try:
            for first in range(1, 200, 20):
                lines = [
                    {"n": n, "t": 1.0, "k": "metric", "key": own[n % 4], "value": n}
                    for n in range(first, first + 20)
                ]
                lines[0] = {"n": first, "k": "params", "values": dict.fromkeys(own, first)}
                world.report(taken, journal=[JournalBatch("w", first, lines)])
                world.report(taken, journal=[JournalBatch("w", first, lines)])
        except BaseException as error:  # noqa: BLE001 - it is what the test looks at
            failures.append(error)

    threads = [threading.Thread(target=report, args=(place,)) for place in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for place in range(5):
        details = world.views.details(world.views.resolve(f"job-{place}"))
        assert sum(metric["count"] for metric in details["metrics"].values()) == 190
    with world.store.read() as connection:
        counted = {(c.kind, c.name): c.jobs for c in catalogue.of_project(connection, "vision")}
    assert {counted[kind, name] for kind in ("metric", "param") for name in names} == {5}
