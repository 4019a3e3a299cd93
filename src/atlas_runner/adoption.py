"""Takes in a job that runs, or ran, without a scheduler: announced, shipped, seen to its end."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from atlas_runner import inotify
from atlas_runner.bystander import Bystander, Stopping
from atlas_runner.conclusion import conclude, last_sign
from atlas_runner.descendants import identify, process_alive, with_descendants
from atlas_runner.interpreter import interpreter_identity, packages
from atlas_runner.logdirs import LogdirWatch
from atlas_runner.shipper import Shipper
from atlas_runner.sysmetrics import Sampler
from atlas_runner.uploads import bring
from atlas_runner.workspace import AlreadyTaken, Workspace
from foundations import config
from foundations.blobs import BlobDir
from foundations.client.api import Api
from foundations.contract import manifest
from foundations.contract.report import Assignment, Result
from foundations.errors import (
    BlobsMissing,
    FoundationsError,
    StorageFull,
    Unauthenticated,
    Unreachable,
    WrongServer,
)
from foundations.execution.folder import JobFolder
from foundations.execution.gpus import GpuLook
from foundations.execution.snapshot import spec_without_code

log = logging.getLogger(__name__)

_PAUSE = 3.0
_LOGIN_PAUSE = 60.0
# How often it is looked whether a training whose launcher lives on is over.
_LOOK_INTERVAL = 1.0
_LONGEST_WAIT = 30.0


def adopt(assignment: Assignment, *, wait: bool = True) -> None:
    """Take in the job in the folder `assignment.adopt`; returns when the server knows its end.

    Without `wait` a folder that somebody else has is left to them at once.
    """
    folder = JobFolder(str(assignment.adopt))
    try:
        workspace = Workspace.adopted(Path(folder.root), wait=wait)
    except (AlreadyTaken, FileNotFoundError):
        return  # whoever has the folder sees to it, or has done so
    if folder.is_withdrawn() and folder.taken() is None:
        folder.remove()
        return
    _Adoption(folder, workspace, _announced(folder, assignment), assignment.token).run()


class _Adoption:
    def __init__(
        self, folder: JobFolder, workspace: Workspace, assignment: Assignment, announcer: str
    ) -> None:
        self._folder = folder
        self._announcer = announcer
        self._assignment = assignment
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        # Before anything of ours is written there.
        self._last_sign = last_sign(folder, time.time())
        self._ended_before = folder.is_over(time.time())
        self._shipper = Shipper(assignment, workspace, identify(os.getpid()), self._stop)
        self._workspace = workspace
        self._bystander = Bystander()

    def _stop(self) -> None:
        os.eventfd_write(self._stop_fd, 1)

    def run(self) -> None:
        """Ship what the program writes until it is over, then how it ended."""
        facts = self._folder.facts()
        self._shipper.worker_started(_environment(facts, self._assignment), facts["started_at"])
        logdirs = LogdirWatch(
            self._workspace,
            lambda path: Path(path).resolve(),
            lambda text: _remark(self._folder, text),
        )
        gpus = GpuLook()
        sampler = Sampler(self._workspace, self._pids, lambda pids: gpus.read(pids, pids[0]))
        logdirs.start()
        sampler.start()
        result = self._workspace.result() or self._result()
        sampler.close()
        logdirs.close()
        self._workspace.note_result(result)
        withdrawn = self._folder.is_withdrawn()
        if self._shipper.finish(result):
            if withdrawn:
                _forget(self._assignment, self._announcer)
            self._folder.remove()

    def _result(self) -> Result:
        watcher = self._watch()
        stopping: Stopping | None = None
        try:
            while not self._folder.is_over(time.time()):
                self._look(watcher, stopping)
                if stopping is not None and not stopping.patience:
                    stopping.enforce()
                    if not any(self._is_within_reach()):
                        break
                elif stopping is None and self._is_asked_to_stop():
                    stopping = Stopping(self._processes(), self._assignment.grace)
            if stopping is not None:
                stopping.enforce()
        finally:
            if watcher is not None:
                watcher.close()
            self._bystander.close()
        heard = self._last_sign if self._ended_before else time.time()
        return conclude(self._folder, self._bystander.statuses, heard)

    def _look(self, watcher: inotify.Watcher | None, stopping: Stopping | None) -> None:
        """Sleep until there may be something new."""
        processes = list(self._processes())
        for identity in processes:
            self._bystander.watch(identity)
        # A launcher says nothing when it has ended all that it is going to start.
        quiet = watcher is not None and len(processes) == 1 and all(self._is_within_reach())
        patience = _LONGEST_WAIT if quiet else _LOOK_INTERVAL
        if stopping is not None:
            patience = min(patience, max(stopping.patience, 0.05))
        others = [] if stopping is not None else [self._stop_fd]
        if watcher is not None:
            others.append(watcher.fileno())
        self._bystander.wait(others, patience)
        if watcher is not None:
            watcher.read_events()

    def _processes(self) -> Iterator[str]:
        """Yield who has to end for the job to be over; a launcher, which may start more, first."""
        group = self._folder.facts().get("group") or {}
        if group.get("agent"):
            yield group["launcher"]
        for member in self._folder.members():
            if member.end is None:
                yield member.identity

    def _pids(self) -> list[int]:
        members = [member.identity for member in self._folder.members() if member.end is None]
        alive = [int(each.partition(":")[0]) for each in members if process_alive(each)]
        return [*alive, *sorted(with_descendants(alive) - set(alive))]

    def _is_within_reach(self) -> Iterator[bool]:
        """Tell of each process that is left whether it can be ended from here."""
        for member in self._folder.members():
            if not member.is_over:
                yield member.is_here

    def _is_asked_to_stop(self) -> bool:
        return bool(self._bystander.wait([self._stop_fd], 0))

    def _watch(self) -> inotify.Watcher | None:
        try:
            watcher = inotify.Watcher()
            watcher.add(os.path.join(self._folder.root, "processes"))
        except OSError as error:
            log.warning("Processes are looked for instead of heard of: %s", error)
            return None
        return watcher


# --- what the server is told at the beginning ------------------------------------------------


def _announced(folder: JobFolder, assignment: Assignment) -> Assignment:
    """Return the assignment with the attempt that the server has made of the job."""
    if assignment.attempt:
        return assignment
    known = folder.taken()
    if known is None:
        known = _announce(folder, assignment)
        if known["job_id"] != folder.job_id:
            folder.call_also(known["job_id"])
            text = f"There is another job with the ID {folder.job_id}: this one has another."
            _remark(folder, text)
        folder.set_taken(known)
    names = ("job_id", "attempt", "token", "instance", "heartbeat", "grace")
    return replace(assignment, **{name: known[name] for name in names})


def _announce(folder: JobFolder, assignment: Assignment) -> dict[str, Any]:
    facts = folder.facts()
    spec = folder.spec() or spec_without_code(facts)
    told = {
        "job_id": folder.job_id,
        "spec": spec,
        "started_at": facts["started_at"],
        "instance": assignment.instance,
    }
    server, token = assignment.server, assignment.token
    while True:
        api = Api(server, token)
        try:
            return _take(api, told, assignment)
        except (Unreachable, WrongServer, StorageFull) as error:
            log.warning("%s It is tried again until it does.", error)
            time.sleep(_PAUSE)
            server = _server_now(assignment, server)
        except Unauthenticated as error:
            if not assignment.remote:
                raise
            log.warning("%s Job %s is brought when somebody has.", error, assignment.job_id)
            time.sleep(_LOGIN_PAUSE)
            token = config.token(server) or ""
        finally:
            api.close()


def _take(api: Api, told: dict[str, Any], assignment: Assignment) -> dict[str, Any]:
    try:
        return api.take(told)
    except BlobsMissing:
        _send_code(api, told, assignment.blobs)
        return api.take(told)


def _send_code(api: Api, told: dict[str, Any], blobs: str) -> None:
    """Send the job's code to a server that lacks it; where it is gone, an empty folder."""
    digest = told["spec"]["bundle"]
    try:
        bring(api, BlobDir(blobs), manifest.FOLDER, digest)
    except FoundationsError as error:
        if isinstance(error, (Unreachable, WrongServer, StorageFull)):
            raise
        log.warning("The code of job %s is not kept: %s", told["job_id"], error)
        digest, _ = api.send_manifest(manifest.encode([]))
    told["spec"] = {**told["spec"], "bundle": digest}


def _server_now(assignment: Assignment, known: str) -> str:
    """Return where the server is now: it may have come back on another port."""
    if assignment.remote:
        return known
    try:
        state = json.loads((Path(assignment.home) / "run" / "server.json").read_text())
    except (OSError, ValueError):
        return known
    return str(state.get("url") or known)


def _environment(facts: dict[str, Any], assignment: Assignment) -> dict[str, Any]:
    """Return what the job remembers of its environment."""
    known: dict[str, Any] = {
        "python": facts["python"],
        "executable": facts["executable"],
        "host": facts["host"],
    }
    uname = os.uname()
    known["system"] = f"{uname.sysname} {uname.release} {uname.machine}"
    try:
        info = interpreter_identity(facts["executable"], Path(assignment.home) / "cache")
    except FoundationsError as error:
        log.warning("What is installed cannot be told: %s", error)
        return known
    return {**known, "implementation": info.implementation, "packages": packages(info)}


def _forget(assignment: Assignment, token: str) -> None:
    """Delete a job that turned out to be none; by the right of whoever has announced it."""
    api = Api(assignment.server, token)
    try:
        api.delete(assignment.job_id)
    except FoundationsError as error:
        log.warning("Job %s is none, and stays: %s", assignment.job_id, error)
    finally:
        api.close()


def _remark(folder: JobFolder, text: str) -> None:
    with open(folder.log_path, "ab") as file:
        file.write(f"Foundations WARNING: {text}\n".encode())
