"""Where am I: inside of which job, if any. With `foundations.config` the reader of the environment.

A program that was submitted, and whatever a job of any kind starts, finds its job in the
environment. A program that is a job by being run, and the jobs that it begins itself, are here as
objects; `foundations.execution` puts them here.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

from foundations.contract import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional


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

    def withdraw(self) -> None:
        """Be no job after all, where that is possible still and nothing was recorded."""

    def __repr__(self) -> str:
        return "{}(job_id={!r}, project={!r}, user={!r}, attempt_dir={!r})".format(
            type(self).__name__, self.job_id, self.project, self.user, self.attempt_dir
        )


# The job that this program is by being run.
_program: Optional[JobContext] = None
# Jobs that it has begun itself and not ended, the innermost last.
_begun: List[JobContext] = []
# The one of them that this thread or task is in: several may train at once, each in its own.
_here: ContextVar[Optional[JobContext]] = ContextVar("foundations_job", default=None)
# The job that the environment names, as it was last seen there.
_inherited: Optional[JobContext] = None

begin: Optional[Callable[[], Optional[JobContext]]] = None
"""Makes this program a job when it first records something; None: it does not become one."""


def current() -> Optional[JobContext]:
    """Return the job that this process, thread or task is in, or None outside of one."""
    if _begun:
        here = _here.get()
        return here if here in _begun else _begun[-1]
    return _program or inherited()


def for_recording() -> Optional[JobContext]:
    """Return the job that something is recorded for; the first record may be what begins it."""
    job = current()
    if job is None and begin is not None:
        job = begin()
    return job


def inherited() -> Optional[JobContext]:
    """Return the job that the environment names: this process was started by it."""
    global _inherited  # noqa: PLW0603 - what was read is kept
    attempt_dir = os.environ.get(environment.ATTEMPT_DIR)
    if not attempt_dir:
        return None
    if _inherited is None or _inherited.attempt_dir != attempt_dir:
        _inherited = JobContext(
            job_id=os.environ.get(environment.JOB_ID, ""),
            project=os.environ.get(environment.PROJECT_NAME, ""),
            user=os.environ.get(environment.USER, ""),
            attempt_dir=attempt_dir,
        )
    return _inherited


def is_executed(attempt_dir: str) -> bool:
    """Whether a folder is that of a job that runs without a scheduler."""
    return os.path.basename(os.path.dirname(attempt_dir)) == environment.LOCAL_FOLDER


def set_program(job: Optional[JobContext]) -> None:
    """Make `job` the one that this program is by being run."""
    global _program  # noqa: PLW0603 - there is one program
    _program = job


def program() -> Optional[JobContext]:
    """Return the job that this program is by being run, if it is one."""
    return _program


def enter(job: JobContext) -> Optional[JobContext]:
    """Make `job` the current one, here and in threads that have none; return the one before."""
    outer = _here.get()
    _begun.append(job)
    _here.set(job)
    return outer


def leave(job: JobContext, outer: Optional[JobContext]) -> None:
    """Undo `enter`, which has returned `outer`."""
    if job in _begun:
        _begun.remove(job)
    if _here.get() is job:
        _here.set(outer)


def has_begun() -> bool:
    """Whether there are jobs that this program has begun and not ended."""
    return bool(_begun)


def asks_for_others() -> None:
    """Note that this program deals with other jobs: it is none itself by doing so.

    One that has recorded something before stays what it is.
    """
    if _program is not None:
        _program.withdraw()
