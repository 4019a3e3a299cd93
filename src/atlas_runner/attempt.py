"""One attempt from its assignment to its result: prepare, execute, collect, finish.

What is not needed before the worker starts is imported after: on a node of a cluster each attempt
is an interpreter of its own, and reading modules is most of what it does until then.
"""

from __future__ import annotations

import importlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from atlas_runner.attendants import Attendants
from atlas_runner.descendants import identify, kill_attempt
from atlas_runner.devices import devices_of_the_node
from atlas_runner.ending import WorkerExit, signal_name
from atlas_runner.errors import EngineUnavailable, PreparationStopped, RequirementsFailed
from atlas_runner.process_way import ProcessWay
from atlas_runner.way import Surroundings, Way, Worker
from atlas_runner.workspace import AlreadyTaken, Workspace
from foundations.blobs import BlobDir
from foundations.contract.report import Assignment, Result
from foundations.contract.states import StateReason
from foundations.errors import FoundationsError, StorageFull

if TYPE_CHECKING:
    from atlas_runner.shipper import Shipper

log = logging.getLogger(__name__)

_R = TypeVar("_R")
_DISK_PAUSE = 3.0
_SAME_SIGNAL = 0.5
_OUT_OF_TIME = "The time limit of the job's place in the cluster was reached."


# What is loaded late. Not later than this: files of another version may lie there by then.
_LATE = (
    *("atlas_runner.shipper", "atlas_runner.fetching", "atlas_runner.logdirs"),
    *("atlas_runner.sysmetrics", "atlas_runner.distributions", "foundations.bundle.ignore"),
    *("atlas_runner.requirements", "atlas_runner.installer", "atlas_runner.overlay"),
    "psutil",
)


def load_the_rest() -> None:
    """Import what an attempt needs once its worker runs, or to the end."""
    for name in _LATE:
        importlib.import_module(name)


def run(assignment: Assignment, *, stop: bool = False) -> None:
    """Carry out an attempt; returns when the server knows how it ended.

    `stop`: it is to be ended at once, as if it were told so as soon as it begins.
    """
    if assignment.adopt is not None:
        from atlas_runner.adoption import adopt  # noqa: PLC0415 - most attempts need none of it

        adopt(assignment)
        return
    attempt = _Attempt(assignment)
    if stop:
        attempt.stop()
    if assignment.recover:
        attempt.recover()
    else:
        attempt.run()


class _Attempt:
    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.spec = assignment.spec
        self.blobs = BlobDir(assignment.blobs)
        self.worker: Worker | None = None
        self.shipper: Shipper | None = None
        self.stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self.out_of_time = False
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        if assignment.handle is not None:
            signal.signal(signal.SIGUSR1, lambda *_: self.run_out_of_time())

    def stop(self) -> None:
        """End the worker, or the preparation of its environment."""
        os.eventfd_write(self.stop_fd, 1)

    def run_out_of_time(self) -> None:
        """End the worker: the engine that gave us the node is about to take it back."""
        self.out_of_time = True
        self.stop()

    def run(self) -> None:
        try:
            workspace = Workspace.create(
                self.assignment.home, self.assignment.job_id, self.assignment.number
            )
        except AlreadyTaken:
            log.warning("Another runner has taken this attempt.")
            return
        result = self._guarded(workspace, lambda: self._execute(workspace))
        self._finish(workspace, result)

    def recover(self) -> None:
        """Take in what a dead runner left: end its worker, ship the rest, report it lost."""
        place = (self.assignment.home, self.assignment.job_id, self.assignment.number)
        message = "The job's runner died; its worker was ended."
        workspace = Workspace.reopen(*place)
        began = workspace is not None
        if workspace is None:
            message = "The job's runner died before it began."
            try:
                workspace = Workspace.create(*place)
            except AlreadyTaken:
                # It has begun this very moment.
                log.warning("The attempt's runner lives.")
                return
        if not workspace.has_container():
            kill_attempt(str(workspace.root), workspace.worker())
        result = workspace.result()
        if result is None and workspace.has_container():
            result = self._guarded(workspace, lambda: self._take_up(workspace))
        self._shipper(workspace).start()
        if result is None:
            self._attendants(workspace).close()
            outputs = self._collect(workspace)
            ending = self.assignment.ending or {}
            reason = ending.get("reason") or StateReason.LOST.value
            message = ending.get("message") or message
            result = Result(reason=reason, message=message, outputs=outputs, began=began)
        self._finish(workspace, result)

    def _finish(self, workspace: Workspace, result: Result) -> None:
        """Tell the server the end; what it does not know yet stays for the next runner."""
        workspace.note_result(result)
        if self.worker is not None:
            self.worker.remove()
        if self._shipper(workspace).finish(result):
            workspace.remove()

    def _attendants(self, workspace: Workspace) -> Attendants:
        return Attendants(self.assignment, workspace, self._writer(workspace))

    def _shipper(self, workspace: Workspace) -> Shipper:
        if self.shipper is None:
            from atlas_runner.shipper import Shipper  # noqa: PLC0415 - once the worker has begun

            runner = self.assignment.handle or identify(os.getpid())
            self.shipper = Shipper(self.assignment, workspace, runner, self.stop)
        return self.shipper

    def _guarded(self, workspace: Workspace, work: Callable[[], _R]) -> _R | Result:
        """Return what `work` returns, or what its failure means for the job."""
        write = self._writer(workspace)
        try:
            return work()
        except RequirementsFailed as error:
            return self._failure(StateReason.REQUIREMENTS_FAILED, error, write)
        except PreparationStopped as error:
            return self._failure(StateReason.STOP_REQUESTED, error, write)
        except EngineUnavailable as error:
            return self._failure(StateReason.START_FAILED, error, write, began=False)
        except FoundationsError as error:
            return self._failure(StateReason.START_FAILED, error, write)
        except Exception as error:
            log.exception("The attempt could not be carried out.")
            return self._failure(StateReason.START_FAILED, error, write)

    def _failure(
        self,
        reason: StateReason,
        error: Exception,
        write: Callable[[bytes], None],
        *,
        began: bool = True,
    ) -> Result:
        text = str(error).encode("utf-8", "replace").decode()
        write(f"Foundations ERROR: {text}\n".encode())
        return Result(reason=reason.value, message=text, began=began)

    def _execute(self, workspace: Workspace) -> Result:
        if self.assignment.remote:
            # Late: it loads what few need.
            from atlas_runner.fetching import code_kept, fetch_code  # noqa: PLC0415

            self._shipper(workspace).start()  # what it fetches may take a while
            with code_kept(self.assignment.home, self.stop_fd):
                fetch_code(self.assignment, self.blobs, self.spec["bundle"], self.stop_fd)
                workspace.fill(self.blobs, self.spec["bundle"], self.spec["params"])
        else:
            workspace.fill(self.blobs, self.spec["bundle"], self.spec["params"])
        way = self._way(workspace)
        way.prepare()
        attendants = self._attendants(workspace)
        attendants.open()
        began = time.monotonic()
        self.worker = worker = way.start()
        facts = {**way.facts(), **self._machine()}
        workspace.note_facts(facts)
        self._shipper(workspace).worker_started(facts)
        attendants.watch(worker)
        load_the_rest()
        ended = worker.wait(
            timeout=self.spec["timeout"], stop_fd=self.stop_fd, grace=self.assignment.grace
        )
        wall = time.monotonic() - began
        attendants.close()
        return self._outcome(workspace, ended, wall)

    def _way(self, workspace: Workspace) -> Way:
        def takes_long() -> None:
            self._shipper(workspace).start()

        around = Surroundings(workspace, self._writer(workspace), takes_long, self.stop_fd)
        if self.spec["worker"].get("image"):
            from atlas_runner.container_way import ContainerWay  # noqa: PLC0415 - loads the SDK

            return ContainerWay(self.assignment, around)
        return ProcessWay(self.assignment, around)

    def _take_up(self, workspace: Workspace) -> Result | None:
        """Go on with the container of a dead runner; None where there is none."""
        from atlas_runner.container_way import take_up  # noqa: PLC0415 - loads the SDK

        self.worker = worker = take_up(workspace, self.assignment, self.stop_fd)
        if worker is None:
            return None
        attendants = self._attendants(workspace)
        attendants.open()
        self._shipper(workspace).worker_started(workspace.facts(), worker.started_at)
        attendants.watch(worker)
        ran = max(0.0, time.time() - (worker.started_at or time.time()))
        limit = self.spec["timeout"]
        ended = worker.wait(
            timeout=None if limit is None else max(0.0, limit - ran),
            stop_fd=self.stop_fd,
            grace=self.assignment.grace,
        )
        wall = time.time() - (worker.started_at or time.time())
        attendants.close()
        return self._outcome(workspace, ended, wall)

    def _outcome(self, workspace: Workspace, ended: WorkerExit, wall: float) -> Result:
        outputs = self._collect(workspace)
        lost = ended.lost or workspace.lost()
        if lost:
            return Result(reason=StateReason.LOST.value, message=lost, outputs=outputs)
        if ended.refused is not None:
            failed = StateReason.START_FAILED.value
            return Result(ended.code, failed, ended.refused, outputs)
        reason, message = _reason_and_message(ended, self.spec)
        by_signal = reason is StateReason.NONZERO_EXIT and ended.signal is not None
        if by_signal and self._is_told_to_end():
            reason, message = StateReason.STOP_REQUESTED, None
        if reason is StateReason.STOP_REQUESTED and self.out_of_time:
            reason, message = StateReason.TIMED_OUT, _OUT_OF_TIME
        used = {
            "cpu_seconds": ended.cpu_seconds,
            "peak_memory": ended.peak_memory,
            "wall_seconds": wall,
        }
        usage = {name: round(value, 3) for name, value in used.items() if value is not None}
        return Result(ended.code, reason.value if reason else None, message, outputs, usage)

    def _is_told_to_end(self) -> bool:
        """Whether a signal that ended the worker was meant for us as well.

        Engines send it to every process of a job, and the worker may be the quicker one to die.
        """
        patience = 0.0 if self.assignment.handle is None else _SAME_SIGNAL
        return bool(select.select([self.stop_fd], [], [], patience)[0])

    def _collect(self, workspace: Workspace) -> str | None:
        """Keep what the job made where the server has it."""
        if not self.assignment.remote:
            return self._gather(workspace, self.blobs)
        from atlas_runner.fetching import deliver  # noqa: PLC0415 - as above

        own = workspace.own_blobs()
        digest = self._gather(workspace, own)
        return digest if digest and deliver(self.assignment, own, digest) else None

    def _gather(self, workspace: Workspace, blobs: BlobDir) -> str | None:
        """Store what the job made; on a full disk wait for space, or for the job to be stopped."""
        told = False
        while True:
            try:
                return workspace.collect(blobs, self._writer(workspace))
            except StorageFull as error:
                if not told:
                    log.warning("Job %s waits to keep its files: %s", self.assignment.job_id, error)
                told = True
            if select.select([self.stop_fd], [], [], _DISK_PAUSE)[0]:
                return None

    def _machine(self) -> dict[str, Any]:
        uname = os.uname()
        return {
            "host": uname.nodename,
            "system": f"{uname.sysname} {uname.release} {uname.machine}",
            "devices": devices_of_the_node(self.assignment.devices, os.environ),
        }

    def _writer(self, workspace: Workspace) -> Callable[[bytes], None]:
        def write(data: bytes) -> None:
            try:
                workspace.remark(data)
            except OSError as error:
                # A remark that finds no room must not end the job.
                log.warning("The job's log cannot be written: %s", error)

        return write


def _reason_and_message(
    ended: WorkerExit, spec: dict[str, Any]
) -> tuple[StateReason | None, str | None]:
    if ended.out_of_memory:
        limit = spec["resources"]["memory"]
        text = f"The job used more than its {_megabytes(limit)} of memory." if limit else None
        return StateReason.OUT_OF_MEMORY, text
    if ended.stopped:
        return StateReason.STOP_REQUESTED, None
    if ended.timed_out:
        return StateReason.TIMED_OUT, f"The job ran longer than its {spec['timeout']:g} s."
    if ended.code == 0:
        return None, None
    if ended.signal is not None:
        return StateReason.NONZERO_EXIT, f"The command was ended by {signal_name(ended.signal)}."
    return StateReason.NONZERO_EXIT, f"The command exited with code {ended.code}."


def _megabytes(size: int) -> str:
    """A size as people ask for it: in units of 1024."""
    return f"{size / 2**30:.3g} GB" if size >= 2**30 else f"{size / 2**20:.3g} MB"
