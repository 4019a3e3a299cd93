"""The job of this process, in the form that programs written for older versions ask for it."""

from __future__ import annotations

from foundations import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


class FoundationsJob:
    """The job that this process belongs to at the moment of each question."""

    def is_in_running_job(self) -> bool:
        """Whether this process belongs to a job."""
        return context.current() is not None

    @property
    def job_id(self) -> str:
        """The job's ID. Raises ValueError outside of a job."""
        job = context.for_recording()
        if job is None:
            raise ValueError("Job ID is currently undefined: this program is not run as a job.")
        return job.job_id

    @property
    def project_name(self) -> str:
        """The job's project; `default` outside of a job."""
        job = context.current()
        return "default" if job is None else job.project

    @property
    def user_name(self) -> Optional[str]:
        """Who submitted the job; None outside of a job."""
        job = context.current()
        return None if job is None else job.user

    def __repr__(self) -> str:
        job = context.current()
        return "FoundationsJob({})".format("not in a job" if job is None else repr(job.job_id))


foundations_job = FoundationsJob()


def current_foundations_job() -> FoundationsJob:
    """Return the job of this process; it answers for itself whether there is one."""
    return foundations_job
