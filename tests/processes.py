"""Ending processes and looking for them; an ended one counts as gone before anybody reaps it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable

import psutil

_PATIENCE = 60.0


def is_alive(pid: int) -> bool:
    """Whether it runs: one that has ended and waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_process(pid: int) -> None:
    """Kill a process with SIGKILL; returns when it is gone, with all its threads."""
    kill_all([pid])


def kill_all(pids: Iterable[int]) -> None:
    """Kill processes with SIGKILL, all before the first is waited for."""
    with contextlib.ExitStack() as opened:
        descriptors = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptors.append(os.pidfd_open(pid))
                opened.callback(os.close, descriptors[-1])
                signal.pidfd_send_signal(descriptors[-1], signal.SIGKILL)
        for descriptor in descriptors:
            assert select.select([descriptor], [], [], _PATIENCE)[0]
