"""Starts the attempts that placement has chosen."""

from __future__ import annotations

import logging
from collections.abc import Set

from atlas_server.domain.ports import Executor, Launch, LaunchFailed, Observation
from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import Allocation
from atlas_server.services.assignments import RunnerSettings
from atlas_server.services.jobs import Jobs
from foundations.contract.states import StateReason

log = logging.getLogger(__name__)


class Launcher:
    """Begins attempts in the store, then has the executor start their runners."""

    def __init__(self, jobs: Jobs, settings: RunnerSettings) -> None:
        self._jobs = jobs
        self._settings = settings
        # Handles that no report has written to the store yet, by attempt.
        self.handles: dict[int, str] = {}

    def launch(
        self, job_id: str, allocation: Allocation, executor: Executor
    ) -> tuple[JobRecord, AttemptRecord] | None:
        """Start a queued job; None when that failed: the store says what became of it."""
        begun = self._jobs.begin_attempt(
            job_id,
            allocation,
            executor.name,
            self._settings.lease,
            lambda attempt: executor.handle_of(attempt, 0),
        )
        if begun is None:
            return None
        job, attempt, secrets = begun
        assignment = self._settings.assignment(job, attempt, secrets)
        launch = Launch(attempt.id, attempt.job_id, allocation, assignment)
        try:
            # Where no handle was known before, the runner's first report writes it down; until
            # then a server that comes back waits for that report or for the end of the lease.
            self.handles[attempt.id] = executor.launch(launch)
        except LaunchFailed as error:
            log.error("Job %s could not be started: %s", attempt.job_id, error)
            self._jobs.give_up(attempt, str(error), StateReason.START_FAILED, began=False)
            return None
        return job, attempt

    def recover(
        self, job: JobRecord, attempt: AttemptRecord, executor: Executor, seen: Observation
    ) -> None:
        """Start a runner that takes in what a dead one left behind; `seen` is how it was found."""
        allocation = Allocation.from_json(attempt.allocation)
        assignment = self._settings.assignment(job, attempt, {}, recover=True)
        reason = seen.reason or StateReason.LOST
        if seen.message is not None:
            assignment["ending"] = {"reason": reason.value, "message": seen.message}
        recoveries = attempt.recoveries + 1
        launch = Launch(attempt.id, attempt.job_id, allocation, assignment, recoveries)
        try:
            self.handles[attempt.id] = executor.launch(launch)
        except LaunchFailed as error:
            log.error("Nobody could be sent after job %s: %s", attempt.job_id, error)
            self._jobs.give_up(attempt, seen.message or str(error), reason)

    def take_in(self, folder: str, executor: Executor) -> str:
        """Start a runner that takes in a job which runs, or ran, without us; return its handle.

        Raises LaunchFailed.
        """
        assignment = self._settings.taken_in(folder)
        nothing = Allocation(node="", cpus=0.0, memory=0)
        return executor.launch(Launch(0, assignment["job_id"], nothing, assignment))

    def forget_except(self, attempts: Set[int]) -> None:
        """Drop the handles of attempts that are over."""
        for attempt in self.handles.keys() - attempts:
            del self.handles[attempt]
