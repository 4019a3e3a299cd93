"""The job that a program is by being run, from its first import of us to its end."""

from __future__ import annotations

import atexit
import os
import time

from foundations import context
from foundations.contract import environment
from foundations.execution import capture, program
from foundations.execution.beginning import begin
from foundations.execution.endings import INTERRUPTED, Ending, Listener, stay_interrupted
from foundations.execution.job import ExecutedJob, changes, current_log, publish, record_error
from foundations.execution.processes import identify
from foundations.notices import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Dict, List, Optional

    from foundations.execution.folder import JobFolder
    from foundations.execution.program import Program

_started_at = time.time()
# Jobs of this process that are not over, in the order in which they began.
_open: List[ExecutedJob] = []
# The one who listens for the program's end, while there are any.
_listeners: List[Listener] = []


def begin_program(found: Program) -> Optional[ExecutedJob]:
    """Make this program a job; says, in one line, why where that is impossible."""
    started_at = time.time() if found.kind == program.INTERACTIVE else _started_at
    try:
        job = begin(found, started_at)
    except OSError as error:
        context.begin = None
        warn("This program is not recorded: {}.".format(error))
        return None
    _be(job, found)
    return job


def begin_at_first_record() -> Optional[ExecutedJob]:
    """Make this program a job because it records something, if it may become one."""
    found = program.look()
    if found.kind in (program.SCRIPT, program.INTERACTIVE):
        with changes:
            job = context.program()
            return job if isinstance(job, ExecutedJob) else begin_program(found)
    if found.kind == program.TOOL:
        context.begin = None  # for good
    return None


def take_care(job: ExecutedJob, found: Program) -> None:
    """Copy what is printed to a job's log, and see that it ends when the program does."""
    with changes:
        if not _open:
            if found.kind != program.INTERACTIVE:
                # Of an interactive session no single command decides how it ends.
                listener = Listener(program.frame_of_main(), _end_all)
                listener.start()
                _listeners.append(listener)
            atexit.register(_end_at_exit)
        _open.append(job)
        job.at_end(lambda: _over(job))
        capture.start(current_log)
        publish(job)


def join(folder: JobFolder, found: Program) -> None:
    """Be a part of an executed job that has started this process."""
    if folder.has_process(identify()):
        # This process was that job already, and has replaced its program by another one.
        _be(ExecutedJob(folder, folder.facts()), found)
    else:
        log = capture.LogFile(folder.log_path)
        capture.start(lambda: log, os.environ.get(environment.OUTPUTS, ""))


def tell_error(frame: Optional[FrameType]) -> None:
    """Record the exception that ends a program that is a submitted job."""
    job = context.inherited()
    ending = Listener(frame, lambda _: None).ending()
    if job is not None and ending.error is not None:
        record_error(job.journal_dir, ending.error)
        if ending.exit_code == INTERRUPTED:
            stay_interrupted()


def _be(job: ExecutedJob, found: Program) -> None:
    context.set_program(job)
    context.begin = None
    take_care(job, found)


def _end_at_exit() -> None:
    """The program is over, but for what was registered before we were imported."""
    ending = _listeners[-1].ending() if _listeners else Ending(0)
    _end_all(ending)
    context.begin = None
    if ending.exit_code == INTERRUPTED and ending.error is not None:
        stay_interrupted()


def _end_all(ending: Ending) -> None:
    for job in reversed(_open[:]):
        job.end(ending, _usage() if job is context.program() else None)


def _over(job: ExecutedJob) -> None:
    """Leave nothing behind of a job that has ended."""
    _open.remove(job)
    if context.program() is job:
        context.set_program(None)
        # A notebook or a search goes on, and may have something to record after all.
        context.begin = begin_at_first_record
    current = context.current()
    publish(current if isinstance(current, ExecutedJob) else None)
    if not _open:
        for listener in _listeners:
            listener.stop()
        _listeners.clear()
        atexit.unregister(_end_at_exit)
        capture.stop()


def _usage() -> Dict[str, float]:
    try:
        import resource  # not everywhere
    except ImportError:
        return {}
    own = resource.getrusage(resource.RUSAGE_SELF)
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime
    return {
        "cpu_seconds": round(seconds, 3),
        "peak_memory": max(own.ru_maxrss, below.ru_maxrss) * 1024.0,
    }
