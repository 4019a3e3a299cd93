"""One attempt from its assignment to its result: prepare, execute, collect, finish."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from pathlib import Path
from typing import Any

from atlas_runner.environment import (
    ALREADY_INSTALLED,
    INSTALLING,
    NO_REQUIREMENTS,
    Prepared,
    banner,
    find_prepared,
    prepare,
)
from atlas_runner.errors import PreparationStopped, RequirementsFailed
from atlas_runner.interpreter import interpreter_identity, packages
from atlas_runner.process import WorkerExit, WorkerProcess, become_subreaper, identify, kill_attempt
from atlas_runner.shipper import Shipper
from atlas_runner.workspace import AlreadyTaken, Workspace
from foundations.blobs import BlobDir
from foundations.contract import environment as names
from foundations.contract.report import Assignment, Result
from foundations.contract.states import StateReason
from foundations.errors import FoundationsError, StorageFull

log = logging.getLogger(__name__)

_DISK_PAUSE = 3.0


def run(assignment: Assignment) -> None:
    """Carry out an attempt; returns when the server knows how it ended."""
    attempt = _Attempt(assignment)
    if assignment.recover:
        attempt.recover()
    else:
        attempt.run()


class _Attempt:
    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.spec = assignment.spec
        self.blobs = BlobDir(assignment.blobs)
        self.stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())

    def stop(self) -> None:
        """End the worker, or the preparation of its environment."""
        os.eventfd_write(self.stop_fd, 1)

    def run(self) -> None:
        try:
            workspace = Workspace.create(
                self.assignment.home, self.assignment.job_id, self.assignment.number
            )
        except AlreadyTaken:
            log.warning("Another runner has taken this attempt.")
            return
        shipper = self._shipper(workspace)
        self._finish(workspace, shipper, self._result(workspace, shipper))

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
        kill_attempt(str(workspace.root), workspace.worker())
        shipper = self._shipper(workspace)
        shipper.start()
        result = workspace.result()
        if result is None:
            outputs = self._collect(workspace, _writer(workspace))
            lost = StateReason.LOST.value
            result = Result(reason=lost, message=message, outputs=outputs, began=began)
        self._finish(workspace, shipper, result)

    def _finish(self, workspace: Workspace, shipper: Shipper, result: Result) -> None:
        """Tell the server the end; what it does not know yet stays for the next runner."""
        workspace.note_result(result)
        if shipper.finish(result):
            workspace.remove()

    def _shipper(self, workspace: Workspace) -> Shipper:
        return Shipper(self.assignment, workspace, identify(os.getpid()), self.stop)

    def _result(self, workspace: Workspace, shipper: Shipper) -> Result:
        write = _writer(workspace)
        try:
            return self._execute(workspace, shipper, write)
        except RequirementsFailed as error:
            return self._failure(StateReason.REQUIREMENTS_FAILED, error, write)
        except PreparationStopped as error:
            return self._failure(StateReason.STOP_REQUESTED, error, write)
        except FoundationsError as error:
            return self._failure(StateReason.START_FAILED, error, write)
        except Exception as error:
            log.exception("The attempt could not be carried out.")
            return self._failure(StateReason.START_FAILED, error, write)

    def _failure(self, reason: StateReason, error: Exception, write: Any) -> Result:
        text = str(error).encode("utf-8", "replace").decode()
        write(f"Foundations ERROR: {text}\n".encode())
        return Result(reason=reason.value, message=text)

    def _execute(self, workspace: Workspace, shipper: Shipper, write: Any) -> Result:
        workspace.fill(self.blobs, self.spec["bundle"], self.spec["params"])
        prepared = self._prepare(workspace, shipper, write)
        entrypoint = self.spec["entrypoint"] or [prepared.python]
        become_subreaper()
        began = time.monotonic()
        log_fd = os.open(workspace.log_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            worker = WorkerProcess.start(
                [*entrypoint, *self.spec["command"]],
                cwd=workspace.job_dir,
                env=self._worker_environment(workspace, prepared),
                log_fd=log_fd,
                memory=self.spec["resources"]["memory"],
                umask=int(os.environ.get("ATLAS_UMASK", "-1"), 8),
            )
        finally:
            os.close(log_fd)
        workspace.note_worker(worker.identity)
        shipper.worker_started(self._recorded_environment(prepared))
        ended = worker.wait(
            timeout=self.spec["timeout"], stop_fd=self.stop_fd, grace=self.assignment.grace
        )
        wall = time.monotonic() - began
        outputs = self._collect(workspace, write)
        return self._judge(ended, wall, outputs)

    def _judge(self, ended: WorkerExit, wall: float, outputs: str | None) -> Result:
        reason, message = _reason_and_message(ended, self.spec)
        usage = {
            "cpu_seconds": round(ended.cpu_seconds, 3),
            "peak_memory": ended.peak_memory,
            "wall_seconds": round(wall, 3),
        }
        return Result(ended.code, reason.value if reason else None, message, outputs, usage)

    def _collect(self, workspace: Workspace, write: Any) -> str | None:
        """Keep what the job made; on a full disk wait for space, or for the job to be stopped."""
        told = False
        while True:
            try:
                return workspace.collect(self.blobs, write)
            except StorageFull as error:
                if not told:
                    log.warning("Job %s waits to keep its files: %s", self.assignment.job_id, error)
                told = True
            if select.select([self.stop_fd], [], [], _DISK_PAUSE)[0]:
                return None

    def _prepare(self, workspace: Workspace, shipper: Shipper, write: Any) -> Prepared:
        home = Path(self.assignment.home)
        info = interpreter_identity(self.spec["interpreter"], home / "cache")
        requirements = workspace.job_dir / "requirements.txt"
        wanted = self.spec["install_requirements"]
        if wanted is None:
            # An entrypoint of the user's own decides for itself what it needs, as it always did.
            wanted = not self.spec["entrypoint"]
        if not wanted or not requirements.is_file():
            if wanted:
                write(banner(NO_REQUIREMENTS))
            requirements = None
        key = self.spec["bundle"]
        ready = find_prepared(requirements, info, home, workspace.job_dir, key)
        if ready is not None:
            if requirements is not None:
                write(banner(ALREADY_INSTALLED))
            return ready
        shipper.start()
        write(banner(INSTALLING))
        return prepare(
            requirements, info, home, workspace.job_dir, key, write, stop_fd=self.stop_fd
        )

    def _worker_environment(self, workspace: Workspace, prepared: Prepared) -> dict[str, str]:
        assignment = self.assignment
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ATLAS_", "FOUNDATIONS_"))
        }
        sdk = Path(assignment.home) / "run" / "sdk"
        python_path = [str(sdk), str(workspace.job_dir), inherited.get("PYTHONPATH", "")]
        own = {
            "PATH": os.pathsep.join([prepared.path_prefix, inherited.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(part for part in python_path if part),
            # What is printed is to be seen now, not when a buffer is full.
            "PYTHONUNBUFFERED": "1",
            "CUDA_VISIBLE_DEVICES": ",".join(assignment.devices),
        }
        # By these the worker finds its journal and we find the worker: not for the user to set.
        fixed = {
            names.HOME: assignment.home,
            names.JOB_ID: assignment.job_id,
            names.PROJECT_NAME: self.spec["project"],
            names.USER: self.spec["user"],
            names.ATTEMPT_DIR: str(workspace.root),
        }
        given = dict(assignment.environment)
        if "PYTHONPATH" in given:
            given["PYTHONPATH"] = os.pathsep.join([own["PYTHONPATH"], given["PYTHONPATH"]])
        return {**inherited, **own, **given, **fixed}

    def _recorded_environment(self, prepared: Prepared) -> dict[str, Any]:
        uname = os.uname()
        return {
            "python": prepared.info.version,
            "implementation": prepared.info.implementation,
            "executable": prepared.python,
            "packages": packages(prepared.info),
            "host": uname.nodename,
            "system": f"{uname.sysname} {uname.release} {uname.machine}",
            "devices": self.assignment.devices,
        }


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
        return StateReason.NONZERO_EXIT, f"The command was ended by {_signal_name(ended.signal)}."
    return StateReason.NONZERO_EXIT, f"The command exited with code {ended.code}."


def _megabytes(size: int) -> str:
    """A size as people ask for it: in units of 1024."""
    return f"{size / 2**30:.3g} GB" if size >= 2**30 else f"{size / 2**20:.3g} MB"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # of the real-time signals only the ends have names


def _writer(workspace: Workspace) -> Any:
    def write(data: bytes) -> None:
        try:
            with workspace.log_path.open("ab") as file:
                file.write(data)
        except OSError as error:
            # A remark that finds no room must not end the job.
            log.warning("The job's log cannot be written: %s", error)

    return write
