"""The program on a further node of an attempt: runs the command as the first node says.

It claims the attempt as its runner does, has code and environment of its own, and comes to the
first node (launcher). There goes what its process prints, logs and saves; what it leaves in its
folder does not. The connection is all that holds it: where that ends, its process does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection

from atlas_runner import launcher
from atlas_runner.attendants import Attendants
from atlas_runner.descendants import kill_attempt
from atlas_runner.ending import WorkerExit
from atlas_runner.errors import PreparationStopped
from atlas_runner.fetching import code_kept, fetch_code
from atlas_runner.group import Group
from atlas_runner.mirror import Mirror
from atlas_runner.process import WorkerProcess
from atlas_runner.process_way import ProcessWay
from atlas_runner.way import Surroundings
from atlas_runner.workspace import AlreadyTaken, Workspace
from foundations.blobs import BlobDir
from foundations.contract.report import Assignment
from foundations.errors import FoundationsError

log = logging.getLogger(__name__)

_PAUSE = 0.2


def carry_out(assignment: Assignment, group: Group, *, stop: bool = False) -> None:
    """Run the command on this node; returns when it has ended, or is not to begin."""
    try:
        place = (assignment.home, assignment.job_id, assignment.number, group.rank)
        workspace = Workspace.create(*place)
    except AlreadyTaken:
        log.warning("Another program has taken this node's part of the attempt.")
        return
    member = _Member(assignment, group, workspace)
    if stop:
        member.stop()
    try:
        member.run()
    finally:
        workspace.remove()


def end_what_is_left(home: str, job_id: str, number: int, group: Group) -> None:
    """End the process of a member that has died."""
    workspace = Workspace.reopen(home, job_id, number, group.rank)
    if workspace is not None:
        kill_attempt(str(workspace.root), workspace.worker())
        workspace.remove()


class _Member:
    def __init__(self, assignment: Assignment, group: Group, workspace: Workspace) -> None:
        self._assignment = assignment
        self._group = group
        self._workspace = workspace
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())

    def stop(self) -> None:
        """End the process, or what comes before it."""
        os.eventfd_write(self._stop_fd, 1)

    def run(self) -> None:
        worker, said = None, ""
        way: ProcessWay | None = None
        try:
            way = self._prepared()
        except PreparationStopped:
            return
        except FoundationsError as error:
            said = f"Foundations ERROR: {error}"
        line = self._come()
        if line is None:
            return
        mirror = Mirror(self._workspace, line.send_bytes)
        with contextlib.suppress(EOFError, OSError), line:
            if way is not None and line.recv_bytes() != launcher.START:
                return
            attendants = self._attendants()
            attendants.open()
            try:
                worker = way.start() if way is not None else None
            except FoundationsError as error:
                said = f"Foundations ERROR: {error}"
            code = 1
            if worker is not None:
                threading.Thread(target=self._hear, args=(line,), daemon=True).start()
                code, said = self._outcome(self._wait_for(worker, mirror))
            attendants.close()
            mirror.send_rest()
            line.send_bytes(launcher.ENDED + json.dumps({"code": code, "said": said}).encode())

    def _attendants(self) -> Attendants:
        """Return what lets the process ask the server; what it uses is not measured here."""
        assignment = replace(self._assignment, devices=[])
        return Attendants(assignment, self._workspace, self._workspace.remark)

    def _prepared(self) -> ProcessWay:
        assignment, workspace, spec = self._assignment, self._workspace, self._assignment.spec
        blobs = BlobDir(assignment.blobs)
        with contextlib.ExitStack() as stack:
            if assignment.remote:
                stack.enter_context(code_kept(assignment.home, self._stop_fd))
                fetch_code(assignment, blobs, spec["bundle"], self._stop_fd)
            workspace.fill(blobs, spec["bundle"], spec["params"])
        around = Surroundings(workspace, workspace.remark, lambda: None, self._stop_fd)
        way = ProcessWay(assignment, around)
        way.prepare()
        return way

    def _come(self) -> Connection | None:
        """Return the connection to the first node, once that listens; None: it will not."""
        group = self._group
        deadline = time.monotonic() + launcher.PATIENCE
        while time.monotonic() < deadline:
            try:
                way = socket.create_connection((group.address, group.port))
            except OSError:
                if select.select([self._stop_fd], [], [], _PAUSE)[0]:
                    return None
                continue
            launcher.keep_asking(way)
            line = Connection(way.detach())
            line.send_bytes(json.dumps({"rank": group.rank, "key": group.key}).encode())
            return line
        log.warning("The first node of the attempt did not wait for this one.")
        return None

    def _hear(self, line: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            line.recv_bytes()
        self.stop()

    def _wait_for(self, worker: WorkerProcess, mirror: Mirror) -> WorkerExit:
        sending = threading.Thread(target=mirror.send_on, daemon=True)
        sending.start()
        ended = worker.wait(timeout=None, stop_fd=self._stop_fd, grace=self._assignment.grace)
        mirror.close()
        sending.join()
        return ended

    def _outcome(self, ended: WorkerExit) -> tuple[int, str]:
        too_much = "Foundations ERROR: the job used more than its memory."
        return ended.code, too_much if ended.out_of_memory else ""
