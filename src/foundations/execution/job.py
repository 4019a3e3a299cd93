"""A job that runs in this process, without a scheduler."""

from __future__ import annotations

import os
import time
from _thread import RLock

from foundations import context
from foundations.contract import environment, events
from foundations.execution import capture, ranks
from foundations.execution.endings import Ending, of_exception
from foundations.execution.processes import identify
from foundations.notices import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Dict, List, Optional, Type

    from foundations.execution.folder import JobFolder


class ExecutedJob(context.JobContext):
    """One of this process's own jobs; as a context manager it ends with the block.

    `name` is for people, `directory` where the program was started, `folder` what is on the disk.
    """

    __slots__ = ("_at_end", "_held", "_identity", "_log", "_pid", "directory", "folder", "name")

    def __init__(self, folder: JobFolder, facts: Dict[str, Any]) -> None:
        super().__init__(folder.job_id, facts["project"], facts["user"], folder.root)
        self.folder = folder
        self.name: Optional[str] = facts["name"]
        self.directory = str(facts["directory"])
        self._identity = identify()
        self._pid = os.getpid()
        self._held = folder.hold(self._identity)
        self._log: Optional[capture.LogFile] = capture.LogFile(folder.log_path)
        self._at_end: List[Callable[[], None]] = []

    @property
    def code_dir(self) -> str:
        """The folder that the program was started in."""
        return self.directory

    @property
    def log(self) -> Optional[capture.LogFile]:
        """Where what is printed goes, too; None once the job is over."""
        return self._log

    @property
    def is_open(self) -> bool:
        """Whether this process is to end it still: not over, and not that of a forked parent."""
        return self._log is not None and os.getpid() == self._pid

    def at_end(self, action: Callable[[], None]) -> None:
        """Do something when the job has ended."""
        self._at_end.append(action)

    def finish(self, error: Optional[BaseException] = None) -> None:
        """End the job: as completed, or as failed of `error`. Doing it twice is harmless."""
        self.end(Ending(0) if error is None else of_exception(error))

    def end(self, ending: Ending, usage: Optional[Dict[str, float]] = None) -> None:
        """Write down how the job ends in this process."""
        if not self.is_open:
            return
        if ending.error is not None:
            record_error(self.journal_dir, ending.error)
        self._leave(
            {"exit_code": ending.exit_code, "message": ending.message, "usage": usage or {}}
        )

    def withdraw(self) -> None:
        """Be no job after all, where nothing was recorded."""
        if not self.is_open or self.folder.has_records():
            return
        if self._leave({"exit_code": 0, "withdrawn": True}) and len(self.folder.members()) == 1:
            self.folder.remove_unless_taken()

    def __enter__(self) -> ExecutedJob:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.finish(error)

    def _leave(self, said: Dict[str, Any]) -> bool:
        """Be out of the job, once; whether it was this call that did it."""
        with changes:
            if self._log is None:
                return False  # another thread was quicker
            self._log.close()
            self._log = None
            try:
                self.folder.note_end(self._identity, {"ended_at": time.time(), **said})
            except OSError as problem:
                warn("How the job ended cannot be written down: {}.".format(problem))
            try:
                os.close(self._held)
            except OSError:
                pass  # the program has closed all that it did not know
            for action in self._at_end:
                action()
            return True


def record_error(journal_dir: str, error: Dict[str, str]) -> None:
    """Write the exception that ends a program into its job's journal."""
    from foundations.journal.spool import Writer

    group = ranks.group()
    writer = Writer(journal_dir, ranks.rank())
    writer.append(events.ERROR, {**error, "round": group.round if group else 0})
    writer.close()


class _Changes:
    """Held by the thread that begins or ends a job; a forked child does not wait for others."""

    def __init__(self) -> None:
        self._lock = RLock()
        os.register_at_fork(after_in_child=self._start_over)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _start_over(self) -> None:
        self._lock = RLock()


changes = _Changes()
_original: Dict[str, Optional[str]] = {}


def publish(job: Optional[ExecutedJob]) -> None:
    """Let what is started from now on find `job`; None: what this process itself was given."""
    if not _original:
        _original.update((name, os.environ.get(name)) for name in environment.OF_A_JOB)
    values = dict(_original)
    if job is not None:
        values[environment.ATTEMPT_DIR] = job.attempt_dir
        values[environment.JOB_ID] = job.job_id
        values[environment.PROJECT_NAME] = job.project
        values[environment.USER] = job.user
        values[environment.OUTPUTS] = capture.places()
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def current_log() -> Optional[capture.LogFile]:
    """Return the log of the job that this thread or task is in, where it is one of our own."""
    job = context.current()
    return job.log if isinstance(job, ExecutedJob) else None
