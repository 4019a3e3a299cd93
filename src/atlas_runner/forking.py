"""Has runners forked: the other side of `forkserver`."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping

log = logging.getLogger(__name__)

_FORK_TIMEOUT = 30.0
_END_TIMEOUT = 3.0


class NotForked(Exception):
    """No runner could be started, and it is certain that none runs."""


class ForkServer:
    """The process that runners are forked from; started when first needed.

    ATLAS_UMASK in its environment is what workers run with: the server's own mask lets nobody
    else read. The runners of one that is `bound` are told to end when it does.
    """

    def __init__(self, environment: Mapping[str, str], *, bound: bool = False) -> None:
        self._environment = environment
        self._bound = bound
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process now, so that the first job need not wait for it."""
        with self._lock:
            self._connect()

    def fork(self, assignment: dict[str, object]) -> str:
        """Return the identity of a new runner process. Raises NotForked."""
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
                raise NotForked(f"no runner could be started: {error}") from error

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

    def _ask(self, data: bytes) -> str:
        connection = self._connect()
        connection.sendall(len(data).to_bytes(8, "big") + data)
        answer = connection.recv(4096)
        if not answer:
            raise ConnectionError("the fork server ended")
        handle = answer.decode()
        if handle.startswith("error:"):
            raise NotForked(handle[6:])
        return handle

    def _connect(self) -> socket.socket:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            self._process = subprocess.Popen(
                # -P: a logging.py of the folder we are in is not the one that is meant.
                [
                    *(sys.executable, "-P", "-m", "atlas_runner.forkserver"),
                    *(str(theirs.fileno()), *(["bound"] if self._bound else [])),
                ],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            ours.settimeout(_FORK_TIMEOUT)
            self._connection = ours
        return self._connection
