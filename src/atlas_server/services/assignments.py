"""What a runner is told of the attempt that it is to carry out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atlas_server.domain.records import AttemptRecord, JobRecord
from atlas_server.domain.resources import Allocation
from foundations.contract.codec import plain
from foundations.contract.environment import LOCAL_FOLDER
from foundations.contract.report import Assignment
from foundations.contract.states import JobKind


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What every runner is told: where the server is, where work and blobs lie, its pace."""

    server: Callable[[], str]
    instance: str
    home: str
    blobs: str
    interpreter: str
    heartbeat: float
    grace: float
    lease: float
    own_token: str = ""

    def assignment(
        self,
        job: JobRecord,
        attempt: AttemptRecord,
        secrets: Mapping[str, str],
        *,
        recover: bool = False,
    ) -> dict[str, Any]:
        """Return the JSON form of an attempt's assignment; `secrets` are its job's."""
        # The project may have another name by now.
        spec = {
            **job.spec,
            "project": job.project,
            "interpreter": job.spec.get("interpreter") or self.interpreter,
        }
        gpus = Allocation.from_json(attempt.allocation).gpus
        return plain(
            Assignment(
                attempt=attempt.id,
                token=attempt.token,
                job_id=job.job_id,
                number=attempt.number,
                server=self.server(),
                instance=self.instance,
                home=self.home,
                blobs=self.blobs,
                spec=spec,
                environment={**job.spec["environment"], **secrets},
                devices=[uuid for uuid, _ in gpus],
                heartbeat=self.heartbeat,
                grace=self.grace,
                recover=recover,
                adopt=self._folder_of(job),
            )
        )

    def taken_in(self, folder: str) -> dict[str, Any]:
        """Return that of a runner which takes in a job that runs, or ran, without us."""
        assignment = Assignment(
            attempt=0,
            token=self.own_token,
            job_id=folder.rpartition("/")[2],
            number=1,
            server=self.server(),
            instance=self.instance,
            home=self.home,
            blobs=self.blobs,
            spec={"worker": {}},
            heartbeat=self.heartbeat,
            grace=self.grace,
            adopt=folder,
        )
        return plain(assignment)

    def _folder_of(self, job: JobRecord) -> str | None:
        """Where a job is that runs without us."""
        if job.kind is not JobKind.EXECUTED:
            return None
        return f"{self.home}/{LOCAL_FOLDER}/{job.job_id}"
