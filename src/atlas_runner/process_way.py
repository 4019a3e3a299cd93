"""How an attempt runs as a process: with the submitter's interpreter, on this machine as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from atlas_runner.devices import device_variables, without_devices
from atlas_runner.environment import (
    ALREADY_INSTALLED,
    NO_REQUIREMENTS,
    Prepared,
    announcement,
    banner,
    find_prepared,
    prepare,
)
from atlas_runner.interpreter import interpreter_identity, packages
from atlas_runner.process import WorkerProcess, become_subreaper
from atlas_runner.sdk_copies import sdk_for
from atlas_runner.way import Surroundings, fixed_variables, wants_requirements
from foundations.contract.report import Assignment


class ProcessWay:
    """Prepares the interpreter, then starts the command."""

    def __init__(self, assignment: Assignment, around: Surroundings) -> None:
        self._assignment = assignment
        self._spec = assignment.spec
        self._around = around
        self._workspace = around.workspace
        self._prepared: Prepared | None = None

    def prepare(self) -> None:
        """Find or build what the command runs with."""
        self._remark_options()
        home, job_dir = Path(self._assignment.home), self._workspace.job_dir
        info = interpreter_identity(self._spec["interpreter"], home / "cache")
        requirements: Path | None = job_dir / "requirements.txt"
        write = self._around.write
        wanted = wants_requirements(self._spec)
        if not wanted or not (job_dir / "requirements.txt").is_file():
            if wanted:
                write(banner(NO_REQUIREMENTS))
            requirements = None
        key = self._spec["bundle"]
        self._prepared = find_prepared(requirements, info, home, job_dir, key)
        if self._prepared is not None:
            if requirements is not None:
                write(banner(ALREADY_INSTALLED))
            return
        self._around.takes_long()
        write(announcement(requirements, job_dir, packages(info)))
        self._prepared = prepare(
            requirements, info, home, job_dir, key, write, stop_fd=self._around.stop_fd
        )

    def _remark_options(self) -> None:
        """Say which options a process does not have, instead of passing over them in silence."""
        if not self._spec["worker"]:
            return
        from foundations.contract.worker import without_effect  # noqa: PLC0415 - for few jobs

        names = without_effect(self._spec["worker"])
        if names:
            listed = ", ".join(f"worker.{name}" for name in names)
            text = f"{listed}: without effect, for the job runs as a process, not in a container."
            self._around.write(f"Foundations WARNING: {text}\n".encode())

    def start(self) -> WorkerProcess:
        """Start the command."""
        prepared = self._ready()
        command = [*(self._spec["entrypoint"] or [prepared.python]), *self._spec["command"]]
        environment = self._environment(prepared)
        if self._spec.get("num_nodes", 1) > 1:
            from atlas_runner.several_nodes import spread  # noqa: PLC0415 - for few jobs

            space, grace = self._workspace, self._assignment.grace
            command, environment = spread(command, environment, space.root, space.lost_path, grace)
        become_subreaper()
        log_fd = os.open(self._workspace.log_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            worker = WorkerProcess.start(
                command,
                cwd=self._workspace.job_dir,
                env=environment,
                log_fd=log_fd,
                memory=self._spec["resources"]["memory"],
                umask=int(os.environ.get("ATLAS_UMASK", "-1"), 8),
            )
        finally:
            os.close(log_fd)
        self._workspace.note_worker(worker.identity)
        return worker

    def facts(self) -> dict[str, Any]:
        """Return what the job remembers of its environment."""
        prepared = self._ready()
        return {
            "python": prepared.info.version,
            "implementation": prepared.info.implementation,
            "executable": prepared.python,
            "packages": packages(prepared.info),
        }

    def _ready(self) -> Prepared:
        assert self._prepared is not None, "prepare comes first"
        return self._prepared

    def _environment(self, prepared: Prepared) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ATLAS_", "FOUNDATIONS_"))
        }
        sdk = sdk_for(self._assignment.home, self._workspace.root)
        python_path = [str(sdk), str(self._workspace.job_dir), inherited.get("PYTHONPATH", "")]
        own = {
            "PATH": os.pathsep.join([prepared.path_prefix, inherited.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(part for part in python_path if part),
            # What is printed is to be seen now, not when a buffer is full.
            "PYTHONUNBUFFERED": "1",
            **device_variables(self._assignment.devices),
        }
        given = without_devices(self._assignment.environment, self._around.write)
        if "PYTHONPATH" in given:
            given["PYTHONPATH"] = os.pathsep.join([own["PYTHONPATH"], given["PYTHONPATH"]])
        fixed = fixed_variables(
            self._assignment, home=self._assignment.home, attempt_dir=str(self._workspace.root)
        )
        return {**inherited, **own, **given, **fixed}
