"""Processes that others have started: noticed when they end, and asked to end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from atlas_runner.descendants import identify, process_alive, with_descendants

# struct pidfd_info of Linux 6.15: what is asked for and told, the cgroup, numbers of the process
# and its owners, and how it ended.
_INFO = struct.Struct("QQ11Ii")
_GET_INFO = 0xC000_FF0B | _INFO.size << 16
_INFO_EXIT = 1 << 3


class Bystander:
    """Waits for processes that are not our children."""

    def __init__(self) -> None:
        self._watched: dict[str, int] = {}
        self.statuses: dict[str, int] = {}
        """How processes ended, as in `os.wait`; those of which the kernel told."""

    def watch(self, identity: str) -> None:
        """Notice when a process ends; nothing happens where it has already."""
        if identity in self._watched or not process_alive(identity):
            return
        try:
            descriptor = os.pidfd_open(int(identity.partition(":")[0]))
        except OSError:
            return  # gone this moment, or a kernel without: it is looked at now and then
        if process_alive(identity):
            self._watched[identity] = descriptor
        else:
            os.close(descriptor)

    def wait(self, others: Iterable[int], seconds: float) -> set[int]:
        """Wait for the end of a process, or for news on the descriptors `others`; return those."""
        poll = select.poll()
        descriptors = {fd: identity for identity, fd in self._watched.items()}
        for descriptor in (*descriptors, *others):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        for descriptor in ready & descriptors.keys():
            identity = descriptors[descriptor]
            status = _exit_status(descriptor, int(identity.partition(":")[0]))
            if status is not None:
                self.statuses[identity] = status
            os.close(self._watched.pop(identity))
        return ready - descriptors.keys()

    def close(self) -> None:
        """Watch nothing any more."""
        for descriptor in self._watched.values():
            os.close(descriptor)
        self._watched.clear()


class Stopping:
    """Ends processes and what they have started: asks, and after `grace` seconds kills."""

    def __init__(self, processes: Iterable[str], grace: float) -> None:
        alive = [identity for identity in processes if process_alive(identity)]
        numbers = [int(identity.partition(":")[0]) for identity in alive]
        # Named now: what is orphaned meanwhile cannot be found any more.
        self._all = [identify(pid) for pid in with_descendants(numbers)]
        self._deadline = time.monotonic() + grace
        for identity in alive:
            _send(identity, signal.SIGTERM)

    @property
    def patience(self) -> float:
        """How many seconds they still have."""
        return max(0.0, self._deadline - time.monotonic())

    def enforce(self) -> None:
        """Kill what is left of them."""
        for identity in self._all:
            _send(identity, signal.SIGKILL)


def _send(identity: str, number: signal.Signals) -> None:
    if process_alive(identity):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(identity.partition(":")[0]), number)


def _exit_status(descriptor: int, pid: int) -> int | None:
    """Return how a process ended that somebody else waits for, where the kernel tells."""
    buffer = bytearray(_INFO.size)
    struct.pack_into("Q", buffer, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(descriptor, _GET_INFO, buffer)
        values = _INFO.unpack_from(buffer)
        if values[0] & _INFO_EXIT:
            return int(values[-1])
    except OSError:
        pass  # before Linux 6.15
    try:
        # While its parent has not taken note of the end, it is there to be read.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[49]) if fields[0] in (b"Z", b"X") and len(fields) > 49 else None
