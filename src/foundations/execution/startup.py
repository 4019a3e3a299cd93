"""Looks at the program when `foundations` is imported, and makes it a job if it is to be one.

Takes nothing from programs that are none, milliseconds from those that are, and never fails.
"""

from __future__ import annotations

import os
import time

from foundations import context
from foundations.contract import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from foundations.execution.program import Program

_TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})


def is_off() -> bool:
    """Whether the user wants no program to be a job by being run."""
    return os.environ.get(environment.COMMAND_LINE, "").strip().lower() in _TRUE


def consider() -> None:
    """Make this program a job, now or when it first records something, if it is to be one."""
    try:
        _consider()
    except Exception as error:  # noqa: BLE001 - no training fails because we cannot look at it
        from foundations.notices import warn

        warn("This program is not recorded: {!r}.".format(error))


def decide() -> None:
    """Look again, where `python -m` had not yet loaded what it was to run."""
    if _undecided:
        _undecided.clear()
        consider()


_undecided: List[bool] = []


def _consider() -> None:
    if is_off():
        return
    from foundations.execution import program

    found = program.look()
    if os.environ.get(environment.ATTEMPT_DIR) and _joins(found):
        return
    if found.kind == program.SCRIPT:
        from foundations.execution.whole import begin_program

        begin_program(found)
    elif found.kind != program.TOOL:
        context.begin = _begin_later
        if found.kind == program.UNDECIDED:
            _undecided.append(True)


def _tell_error_at_exit() -> None:
    """Record the exception that ends this program, which is a submitted job."""
    import atexit

    from foundations.execution.program import frame_of_main

    frame = frame_of_main()

    def tell() -> None:
        from foundations.execution import whole

        whole.tell_error(frame)

    atexit.register(tell)


def _begin_later() -> Optional[context.JobContext]:
    from foundations.execution.whole import begin_at_first_record

    return begin_at_first_record()


def _joins(found: Program) -> bool:
    """Be a part of the job that started this process; False: it is over, and long ago perhaps."""
    if not context.is_executed(os.environ[environment.ATTEMPT_DIR]):
        if found.kind == "script":
            _tell_error_at_exit()
        return True
    from foundations.execution import whole
    from foundations.execution.folder import JobFolder

    folder = JobFolder(os.environ[environment.ATTEMPT_DIR])
    if folder.goes_on(time.time()):
        whole.join(folder, found)
        return True
    for name in environment.OF_A_JOB:
        os.environ.pop(name, None)
    return False


# This module is what `import foundations` does.
consider()
