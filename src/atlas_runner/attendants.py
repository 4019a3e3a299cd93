"""What goes on beside a worker: its way to the server, its measurements, TensorBoard's files."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from atlas_runner.job_files import write_open
from atlas_runner.relay import Relay
from atlas_runner.way import Worker
from atlas_runner.workspace import Workspace
from foundations.contract.environment import API_SOCKET
from foundations.contract.report import Assignment
from foundations.contract.tokens import JOB_TOKEN_FILE, job_token
from foundations.errors import BundleError
from foundations.execution.usage import FIRST_PAUSE

if TYPE_CHECKING:
    from atlas_runner.gpumetrics import GpuWatch
    from atlas_runner.logdirs import LogdirWatch
    from atlas_runner.sysmetrics import Sampler

log = logging.getLogger(__name__)


class Attendants:
    """They are there from `open` to `close`, which comes before the job's files are collected.

    `write` appends to the job's log.
    """

    def __init__(
        self, assignment: Assignment, workspace: Workspace, write: Callable[[bytes], object]
    ) -> None:
        self._assignment = assignment
        self._workspace = workspace
        self._write = write
        self._relay = Relay(workspace.root / API_SOCKET, self._server)
        self._logdirs: LogdirWatch | None = None
        self._gpus: GpuWatch | None = None
        self._sampler: Sampler | None = None

    def open(self) -> None:
        """Let the worker, which is about to start, reach the server."""
        self._give_token()
        self._relay.start()
        if self._assignment.devices:
            from atlas_runner.gpumetrics import GpuWatch  # noqa: PLC0415 - most jobs have none

            self._gpus = GpuWatch(self._assignment.devices, FIRST_PAUSE)
            self._gpus.start()

    def watch(self, worker: Worker) -> None:
        """Look at a worker that runs."""
        from atlas_runner.sysmetrics import Sampler  # noqa: PLC0415 - the worker has begun

        gpus = self._gpus
        self._watched_logdirs().start()
        self._sampler = Sampler(
            self._workspace, worker.pids, lambda _: {} if gpus is None else gpus.read()
        )
        self._sampler.start()

    def close(self) -> None:
        """Take in what the worker, which has ended, has left."""
        self._relay.close()
        if self._sampler is not None:
            self._sampler.close()
        if self._gpus is not None:
            self._gpus.close()
        self._watched_logdirs().close()

    def _watched_logdirs(self) -> LogdirWatch:
        if self._logdirs is None:
            from atlas_runner.logdirs import LogdirWatch  # noqa: PLC0415 - the worker has begun

            self._logdirs = LogdirWatch(self._workspace, self._see, self._warn)
        return self._logdirs

    def _see(self, path: str) -> Path | None:
        worker = self._assignment.spec["worker"]
        if worker.get("image"):
            from atlas_runner.container_layout import seen_here  # noqa: PLC0415 - for images

            return seen_here(self._workspace, worker, path)
        return Path(path).resolve()

    def _warn(self, text: str) -> None:
        self._write(f"Foundations WARNING: {text}\n".encode("utf-8", "replace"))

    def _give_token(self) -> None:
        """Let the job show who it is, whatever user it runs as: its folder is closed to others."""
        token = job_token(self._assignment.attempt, self._assignment.token)
        try:
            write_open(self._workspace.root, JOB_TOKEN_FILE, token)
        except (OSError, BundleError) as error:
            log.warning("The job cannot show the server who it is: %s", error)

    def _server(self) -> str:
        """Where the server is now: it may have come back on another port.

        On its own machine it has a way in for jobs alone, on which a token is asked for.
        """
        if self._assignment.handle is not None:
            return self._assignment.server  # an engine has put us on another machine
        try:
            facts = json.loads((Path(self._assignment.home) / "run" / "server.json").read_text())
            return str(facts.get("jobs_url") or facts["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return self._assignment.server
