"""Runs attempts on this machine, as processes that outlive the server.

Runners are forked from a small server process that has their modules loaded: a new interpreter
for each would cost more than many jobs take. When a runner ends, its pidfd wakes the scheduler.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from atlas_runner.limits import sweep as remove_memory_groups
from atlas_runner.process import process_alive
from atlas_server.domain.answers.system import NodeLive
from atlas_server.domain.ports import (
    ALIVE,
    GONE,
    Handle,
    Launch,
    LaunchFailed,
    Nearby,
    Observation,
)
from atlas_server.domain.resources import Node
from atlas_server.executors.cluster import not_for
from atlas_server.executors.inventory import DeclaredInventory, Inventory
from atlas_server.executors.usage import UsageMeter
from foundations.contract.spec import JobSpec
from foundations.errors import FoundationsError

log = logging.getLogger(__name__)

_FORK_TIMEOUT = 30.0
_END_TIMEOUT = 3.0


class LocalExecutor:
    """The executor of a single machine.

    `environment` is what runners get, ATLAS_UMASK in it; `home` is where jobs' files are.
    """

    name = "local"

    def __init__(
        self, declared: DeclaredInventory, environment: Mapping[str, str], home: str = "/"
    ) -> None:
        self._machine = Inventory(declared)
        self._meter = UsageMeter(home)
        self._forks = ForkServer(environment)
        self._exits = ExitWatch()
        self._with_gpus: set[Handle] = set()

    def prepare(self, nearby: Nearby) -> None:
        """Get ready to start runners quickly."""

        def runner_ended(handle: Handle) -> None:
            if handle in self._with_gpus:
                self._with_gpus.discard(handle)
                self._machine.doubt_gpus()
            nearby.ended(handle)

        remove_memory_groups(process_alive)
        self._exits.start(runner_ended)
        self._forks.start()
        self._machine.start(nearby.changed)

    def nodes(self) -> Sequence[Node]:
        """Return this machine."""
        return (self._machine.node,)

    def usage(self) -> Mapping[str, NodeLive]:
        """Return what goes on at this machine."""
        node = self._machine.node
        return {node.name: self._meter.usage(gpus=any(gpu.memory for gpu in node.gpus))}

    def objection(self, spec: JobSpec) -> FoundationsError | None:
        """Refuse what only a cluster understands."""
        if not spec.cluster:
            return None
        return not_for(next(iter(spec.cluster)), "this machine has not")

    def handle_of(self, attempt: int, recoveries: int) -> Handle | None:
        """Return None: processes get their numbers when they start."""
        del attempt, recoveries
        return None

    def launch(self, launch: Launch) -> Handle:
        """Fork a runner and hand it its assignment."""
        handle = self._forks.fork(launch.assignment)
        if launch.allocation.gpus:
            self._with_gpus.add(handle)
        self._exits.watch(handle)
        return handle

    def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Observation]:
        """Tell the living from the gone; what is alive is watched from now on."""
        found = {}
        for handle in handles:
            alive = process_alive(handle)
            found[handle] = ALIVE if alive else GONE
            if alive:
                self._exits.watch(handle)
        return found

    def stop(self, handle: Handle, *, grace: float) -> None:
        """Send the runner SIGTERM: it ends its worker within its own grace period."""
        del grace  # the runner was told its grace when it was launched
        if process_alive(handle):
            try:
                os.kill(int(handle.split(":")[0]), signal.SIGTERM)
            except ProcessLookupError:
                return

    def close(self) -> None:
        """End the fork server; its runners go on."""
        self._machine.close()
        self._forks.close()
        self._exits.close()


class ForkServer:
    """The process that runners are forked from; started when first needed.

    ATLAS_UMASK in its environment is what workers run with: the server's own mask lets nobody
    else read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process now, so that the first job need not wait for it."""
        with self._lock:
            self._connect()

    def fork(self, assignment: dict[str, object]) -> Handle:
        """Return the identity of a new runner process. Raises LaunchFailed."""
        data = json.dumps(assignment).encode()
        with self._lock:
            try:
                return self._ask(data)
            except OSError as error:
                # Should it have forked a runner all the same, the next one finds its work taken.
                self.close()
                log.warning("The runners' fork server is started again: %s", error)
            try:
                return self._ask(data)
            except OSError as error:
                self.close()
                raise LaunchFailed(f"no runner could be started: {error}") from error

    def close(self) -> None:
        """Let the process end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            try:
                self._process.wait(timeout=_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                # It hangs; its runners have sessions of their own and stay.
                self._process.kill()
                self._process.wait()
            self._process = None

    def _ask(self, data: bytes) -> Handle:
        connection = self._connect()
        connection.sendall(len(data).to_bytes(8, "big") + data)
        answer = connection.recv(4096)
        if not answer:
            raise ConnectionError("the fork server ended")
        handle = answer.decode()
        if handle.startswith("error:"):
            raise LaunchFailed(handle[6:])
        return handle

    def _connect(self) -> socket.socket:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            self._process = subprocess.Popen(
                # -P: a logging.py of the folder we are in is not the one that is meant.
                [sys.executable, "-P", "-m", "atlas_runner.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            ours.settimeout(_FORK_TIMEOUT)
            self._connection = ours
        return self._connection


class ExitWatch:
    """Tells when a watched process ends; without pidfds the scheduler looks by itself."""

    def __init__(self) -> None:
        self._ended: Callable[[Handle], None] = lambda _: None
        self._lock = threading.Lock()
        self._watched: dict[Handle, int] = {}
        able = hasattr(select, "epoll") and hasattr(os, "pidfd_open")
        self._epoll = select.epoll() if able else None

    def start(self, ended: Callable[[Handle], None]) -> None:
        """Call `ended`, in a thread, for every watched process that ends."""
        self._ended = ended
        if self._epoll is not None:
            threading.Thread(target=self._run, name="runner-exits", daemon=True).start()

    def watch(self, handle: Handle) -> None:
        """Tell once when the process of `handle` ends."""
        if self._epoll is None:
            return
        with self._lock:
            if handle in self._watched:
                return
            try:
                fd = os.pidfd_open(int(handle.split(":")[0]))
            except OSError:
                fd = -1
            else:
                self._watched[handle] = fd
                self._epoll.register(fd, select.EPOLLIN)
        # The number may have gone to another process before the pidfd was open.
        if fd < 0 or not process_alive(handle):
            self._ended(handle)

    def close(self) -> None:
        """Forget every process."""
        with self._lock:
            for fd in self._watched.values():
                os.close(fd)
            self._watched.clear()

    def _run(self) -> None:
        assert self._epoll is not None
        while True:
            ready = {fd for fd, _ in self._epoll.poll()}
            with self._lock:
                ended = [handle for handle, fd in self._watched.items() if fd in ready]
                for handle in ended:
                    os.close(self._watched.pop(handle))
            for handle in ended:
                self._ended(handle)
