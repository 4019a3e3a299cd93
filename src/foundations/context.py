"""Where am I: inside a job or not. With `foundations.config` the only reader of the environment."""

from __future__ import annotations

import os

from foundations.contract import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


class JobContext:
    """The job that this process belongs to; `attempt_dir` is the folder of its present attempt."""

    __slots__ = ("attempt_dir", "job_id", "project", "user")

    def __init__(self, job_id: str, project: str, user: str, attempt_dir: str) -> None:
        self.job_id = job_id
        self.project = project
        self.user = user
        self.attempt_dir = attempt_dir

    @property
    def journal_dir(self) -> str:
        """The folder that events are written to."""
        return os.path.join(self.attempt_dir, "journal")

    @property
    def artifacts_dir(self) -> str:
        """The folder that saved artifacts are copied to."""
        return os.path.join(self.attempt_dir, "artifacts")

    @property
    def code_dir(self) -> str:
        """The folder that the job's command was started in."""
        return os.path.join(self.attempt_dir, "job")

    # The names that programs written for older versions read.
    @property
    def project_name(self) -> str:
        """The project's name."""
        return self.project

    @property
    def user_name(self) -> str:
        """The user's name."""
        return self.user

    def __repr__(self) -> str:
        return "JobContext(job_id={!r}, project={!r}, user={!r}, attempt_dir={!r})".format(
            self.job_id, self.project, self.user, self.attempt_dir
        )


def current() -> Optional[JobContext]:
    """Return the job that this process runs in, or None outside of one."""
    attempt_dir = os.environ.get(environment.ATTEMPT_DIR)
    if not attempt_dir:
        return None
    return JobContext(
        job_id=os.environ.get(environment.JOB_ID, ""),
        project=os.environ.get(environment.PROJECT_NAME, ""),
        user=os.environ.get(environment.USER, ""),
        attempt_dir=attempt_dir,
    )
