"""Measures a program that is run by hand for as long as no server does.

A process of its own beside the program, started by the one that keeps its code. It ends with the
program, or when a server has the job, whose runner then measures.
"""

from __future__ import annotations

import os
import select
import sys
import time

from foundations.contract import events
from foundations.execution import usage
from foundations.execution.folder import JobFolder
from foundations.execution.gpus import GpuLook
from foundations.execution.keeping import detach
from foundations.execution.members import Member
from foundations.journal.spool import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from foundations.execution.companion import main; main(sys.argv[2])"
)
_LOOK_INTERVAL = 0.05


def accompany(folder: JobFolder, settling: float) -> None:
    """Have the program measured, unless in these seconds a server takes it, or it is over."""
    deadline = time.monotonic() + settling
    while time.monotonic() < deadline:
        if not _is_wanted(folder):
            return
        time.sleep(_LOOK_INTERVAL)
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    detach([sys.executable, "-I", "-S", "-c", _PROGRAM, package, folder.root], dict(os.environ))


def main(root: str) -> None:
    """Measure the program whose job is in `root`."""
    folder = JobFolder(root)
    writer = Writer(folder.journal_dir)
    gpus = GpuLook()
    pids = _pids(folder)
    if not pids:
        return
    before, looked = usage.look_at(usage.with_children(pids), pids[0]), time.monotonic()
    pause = usage.FIRST_PAUSE
    while True:
        _await_end(pids, pause)
        pids = _pids(folder)
        if not pids or not _is_wanted(folder):
            return
        everything = usage.with_children(pids)
        now, then = usage.look_at(everything, pids[0]), time.monotonic()
        values = usage.values_between(before, now, then - looked)
        values.update(gpus.read(everything, pids[0]))
        writer.append(events.SYSTEM, {"values": values})
        before, looked = now, then
        pause = usage.longer(pause)


def _is_wanted(folder: JobFolder) -> bool:
    try:
        return folder.taken() is None and folder.goes_on(time.time())
    except (OSError, ValueError):
        return False


def _pids(folder: JobFolder) -> List[int]:
    """Return the processes that are the job and can be seen from here, the first of them first."""

    def is_here(member: Member) -> bool:
        return member.is_here and not member.is_over

    try:
        members = filter(is_here, folder.members())
        return [int(member.identity.partition(":")[0]) for member in members]
    except OSError:
        return []


def _await_end(pids: List[int], seconds: float) -> None:
    """Wait, but not beyond the end of one of these processes."""
    open_process: Optional[Callable[[int], int]] = getattr(os, "pidfd_open", None)  # from 3.9 on
    if open_process is None:
        time.sleep(usage.FIRST_PAUSE)
        return
    poll = select.poll()
    descriptors: List[int] = []
    try:
        for pid in pids:
            descriptors.append(open_process(pid))
            poll.register(descriptors[-1], select.POLLIN)
    except OSError:
        seconds = _LOOK_INTERVAL  # one has ended already
    poll.poll(seconds * 1000)
    for descriptor in descriptors:
        os.close(descriptor)
