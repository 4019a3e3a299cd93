"""A process that has the runner's modules loaded and forks one runner for each assignment.

Speaks on the socket whose number is its argument: an assignment comes as 8 bytes of length and
JSON; the new runner's identity, or `error:` and why there is none, goes back. Ends when the
other side hangs up; the runners do not, unless a second argument says that they are `bound`.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import signal
import socket
import sys

from atlas_runner import attempt
from atlas_runner.descendants import end_with_parent, identify
from foundations.contract.report import Assignment

log = logging.getLogger(__name__)


def main() -> None:
    """Serve until the other side hangs up."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    bound = sys.argv[2:] == ["bound"]
    # Runners that end are nobody's to wait for: the kernel removes them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Everything that every runner would otherwise do first.
    importlib.import_module("atlas_runner.adoption")
    attempt.load_the_rest()
    identify(os.getpid())
    "".encode("ascii")
    gc.collect()
    gc.freeze()  # pages that the collector never touches stay shared with every runner
    while True:
        data = _receive(connection)
        if data is None:
            return
        assignment = Assignment(**json.loads(data))
        _load_what_it_needs(assignment)
        try:
            pid = os.fork()
        except OSError as error:
            connection.sendall(f"error:{error}".encode())
            continue
        if pid == 0:
            connection.close()
            _be_runner(assignment, bound=bound)
        connection.sendall(identify(pid).encode())


def _load_what_it_needs(assignment: Assignment) -> None:
    """Import what few jobs need once there is one that does, so that no runner has to.

    A runner that loads something late may find another version of it by then.
    """
    worker = assignment.spec["worker"]
    modules = ["foundations.contract.worker"] if worker else []
    if worker.get("image"):
        modules += ["docker", "atlas_runner.container_way", "atlas_runner.distributions"]
    missing = [module for module in modules if module not in sys.modules]
    if missing:
        try:
            for module in missing:
                importlib.import_module(module)
        except ImportError as error:
            log.warning("Containers cannot be used: %s", error)  # the runner tells the job
        gc.freeze()


def _receive(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, 8)
    return _exactly(connection, int.from_bytes(head, "big")) if head else None


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _be_runner(assignment: Assignment, *, bound: bool) -> None:
    code = 1
    try:
        os.setsid()
        if bound:
            end_with_parent(signal.SIGTERM)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Workers inherit what is ignored: a KeyboardInterrupt in a job must work.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        logging.basicConfig(
            level=logging.WARNING,
            format=f"%(asctime)s runner of {assignment.job_id}: %(levelname)s: %(message)s",
        )
        attempt.run(assignment)
        code = 0
    except BaseException:
        log.exception("The runner failed.")
    finally:
        # Not sys.exit: what the fork server would do at its own end is not the runner's to do.
        os._exit(code)


if __name__ == "__main__":
    main()
