"""How an attempt runs in a container: image, command, mounts, limits and devices."""

from __future__ import annotations

import math
import os
import posixpath
from pathlib import Path, PurePosixPath
from typing import Any

from atlas_runner.container import ContainerWorker
from atlas_runner.container_environment import ImageEnvironments, mounts
from atlas_runner.container_layout import (
    ENVIRONMENTS,
    Layout,
    code_and_start,
    worker_environment,
)
from atlas_runner.container_log import LogPump
from atlas_runner.container_options import check_sources, container_options
from atlas_runner.devices import without_devices
from atlas_runner.engine import Engine, await_engine, kept_log
from atlas_runner.environment import ALREADY_INSTALLED, NO_REQUIREMENTS, announcement, banner
from atlas_runner.errors import EngineUnavailable, RequirementsFailed, StartFailed
from atlas_runner.image_python import ImagePython, image_python, is_python
from atlas_runner.images import Image, obtain
from atlas_runner.ownership import is_needed, take_back
from atlas_runner.way import Surroundings, fixed_variables, wants_requirements
from atlas_runner.workspace import Workspace
from foundations.contract.report import Assignment

# Seconds for which a job waits for an engine that is away, before it is queued again.
ENGINE_PATIENCE = 60.0
# What an engine takes for the least: a hundredth of a core.
_LEAST_CPUS = 10_000_000
# Of the options, what decides which network a build of requirements has.
_NETWORK = ("network_mode", "network", "dns", "dns_opt", "dns_search", "extra_hosts", "domainname")


class ContainerWay:
    """Gets the image, prepares the environment inside, then starts the command in a container."""

    def __init__(self, assignment: Assignment, around: Surroundings) -> None:
        self._assignment = assignment
        self._spec = assignment.spec
        self._worker: dict[str, Any] = assignment.spec["worker"]
        self._around = around
        self._workspace = around.workspace
        self._given = container_options(self._worker)
        self._engine: Engine | None = None
        self._image: Image | None = None
        self._python: ImagePython | None = None
        code, start = code_and_start(self._worker.get("working_dir"))
        self._layout = Layout(self._workspace, Path(assignment.home), code, start)

    def prepare(self) -> None:
        """Get the image and, where requirements are to be installed, their environment."""
        around = self._around
        self._engine = await_engine(
            ENGINE_PATIENCE, around.write, around.stop_fd, around.takes_long
        )
        self._engine.labels = labels(self._assignment)
        self._image = obtain(
            self._engine, self._worker, around.write, around.stop_fd, around.takes_long
        )
        cache = self._layout.home / "cache"
        # From now on somebody has to look after what is left over.
        (self._layout.home / "run" / "containers-used").touch()
        self._python = image_python(self._engine, self._image, cache, around.write, around.stop_fd)
        if "user" in self._worker and not self._engine.facts.rootless:
            self._workspace.open_to_all()
        self._prepare_requirements()

    def start(self) -> ContainerWorker:
        """Make the container and start it."""
        engine, image = self._ready()
        check_sources(self._worker)
        name = container_name(self._assignment)
        # Noted before it exists: whoever comes after us looks for it by its name.
        self._workspace.note_worker(ContainerWorker.identity_of(name))
        self._workspace.output_begins()
        log = LogPump(self._workspace.log_path, tty=bool(self._given.get("tty")))
        worker = ContainerWorker.create(engine, image.id, self._options(name), log)
        try:
            worker.start(self._given.get("stop_signal") or image.stop_signal)
        except EngineUnavailable:
            # It may have been started all the same, and must not run twice.
            self._around.takes_long()
            found = take_up(self._workspace, self._assignment, self._around.stop_fd)
            if found is None:
                raise
            worker = found
        worker.afterwards = lambda: _take_files_back(
            engine, image.id, self._worker, self._workspace
        )
        return worker

    def facts(self) -> dict[str, Any]:
        """Return what the job remembers of its environment."""
        engine, image = self._ready()
        found: dict[str, Any] = {
            "image": image.recorded(),
            "engine": f"{engine.facts.name} {engine.facts.version}",
        }
        if self._python is not None:
            found |= {
                "python": self._python.version,
                "implementation": self._python.implementation,
                "executable": self._interpreter(),
                "packages": {**self._python.packages, **self._installed()},
            }
        return found

    def _ready(self) -> tuple[Engine, Image]:
        assert self._engine is not None, "prepare comes first"
        assert self._image is not None, "prepare comes first"
        return self._engine, self._image

    def _prepare_requirements(self) -> None:
        engine, image = self._ready()
        requirements = self._workspace.job_dir / "requirements.txt"
        write = self._around.write
        if not wants_requirements(self._spec):
            return
        if not requirements.is_file():
            write(banner(NO_REQUIREMENTS))
            return
        if self._python is None:
            raise RequirementsFailed(
                f"The image '{image.name}' has no Python to install requirements.txt for.",
                "Say install_requirements: false in job.config.yaml, or take another image.",
            )
        network = {name: self._given[name] for name in _NETWORK if name in self._given}
        options = {**network, **self._user(engine)}
        home, user = self._layout.home, self._spec["user"]
        environments = ImageEnvironments(engine, image, self._python, home, options, user)
        key = self._spec["bundle"]
        place = environments.find(requirements, self._workspace.job_dir, key)
        if place is None:
            self._around.takes_long()
            job_dir = self._workspace.job_dir
            write(announcement(requirements, job_dir, self._python.packages))
            place = environments.build(requirements, self._layout, key, write, self._around.stop_fd)
        else:
            write(banner(ALREADY_INSTALLED))
        if isinstance(place, Path):
            inside = f"{ENVIRONMENTS}/{place.name}"
            self._layout = Layout(
                self._workspace, self._layout.home, self._layout.code,
                self._layout.working_dir, (place, inside),
            )  # fmt: skip

    def _interpreter(self) -> str:
        if self._layout.environment is not None:
            return f"{self._layout.environment[1]}/bin/python"
        assert self._python is not None
        return self._python.executable

    def _installed(self) -> dict[str, str]:
        from atlas_runner.distributions import distributions  # noqa: PLC0415

        if self._layout.environment is None:
            return {}
        folders = [str(path) for path in self._layout.environment[0].glob("lib/*/site-packages")]
        return {name: found.version for name, found in distributions(folders).items()}

    def _command(self, image: Image) -> tuple[list[str] | None, list[str]]:
        """Return the entrypoint, None for the image's own, and the command."""
        command = list(self._spec["command"])
        if self._spec["entrypoint"]:
            return list(self._spec["entrypoint"]), command
        if image.entrypoint:
            if self._layout.environment is not None and is_python(image.entrypoint[0]):
                # The image's interpreter, as it is with the requirements.
                return [self._interpreter(), *image.entrypoint[1:]], command
            return None, command
        if command and self._python is not None and self._is_for_python(command[0]):
            # As everywhere: what is submitted without an entrypoint is given to Python.
            return [self._interpreter()], command
        return None, command

    def _is_for_python(self, word: str) -> bool:
        """Whether the first word of a command is an option of Python, or a script of the job."""
        layout = self._layout
        inside = PurePosixPath(posixpath.normpath(posixpath.join(layout.working_dir, word)))
        if not word.endswith(".py") or not inside.is_relative_to(layout.code):
            return word.startswith("-")
        return (self._workspace.job_dir / inside.relative_to(layout.code)).is_file()

    def _options(self, name: str) -> dict[str, Any]:
        engine, image = self._ready()
        entrypoint, command = self._command(image)
        own: dict[str, Any] = {
            "init": engine.facts.init or None,
            "shm_size": _shared_memory(),
            **({} if "user" in self._given else self._user(engine)),
            **self._limits(),
        }
        fixed = {
            "name": name,
            "command": command or None,
            "environment": self._environment(engine, image),
            "working_dir": self._layout.working_dir,
            "mounts": [*mounts(self._layout.binds()), *self._given.get("mounts", [])],
            "labels": {**self._user_labels(), **engine.labels},
            "log_config": kept_log(engine),
            "detach": True,
        }
        if entrypoint is not None:
            fixed["entrypoint"] = entrypoint
        requests = [*self._given.get("device_requests", []), *self._devices()]
        if requests:
            fixed["device_requests"] = requests
        return {**own, **self._given, **fixed}

    def _limits(self) -> dict[str, Any]:
        resources = self._spec["resources"]
        # A weight, so that jobs that are not limited share the CPUs by what they asked for.
        found: dict[str, Any] = {"cpu_shares": max(2, int(1024 * resources["cpus"]))}
        if resources.get("cpu_limit"):
            found["nano_cpus"] = max(_LEAST_CPUS, int(resources["cpu_limit"] * 1e9))
        if resources["memory"]:
            # Swap included, as for processes.
            found |= {"mem_limit": resources["memory"], "memswap_limit": resources["memory"]}
        return found

    def _user(self, engine: Engine) -> dict[str, Any]:
        """Return who the container runs as: whoever submitted, so that what it writes is theirs."""
        if engine.facts.rootless:
            return {"user": "0:0"}  # which is this user, seen from inside
        groups = sorted(set(os.getgroups()) - {os.getegid()})
        return {"user": f"{os.geteuid()}:{os.getegid()}", "group_add": groups}

    def _environment(self, engine: Engine, image: Image) -> dict[str, str]:
        unknown_user = os.geteuid() != 0 and not engine.facts.rootless
        own_user = self._spec["user"] if unknown_user and "user" not in self._worker else None
        fixed = fixed_variables(self._assignment, home="", attempt_dir="")
        given = without_devices(self._assignment.environment, self._around.write)
        if not self._assignment.devices:
            # An image, or a default runtime of the engine, would show every device.
            fixed["NVIDIA_VISIBLE_DEVICES"] = "void"
        return worker_environment(self._layout, image.environment, given, fixed, own_user=own_user)

    def _devices(self) -> list[Any]:
        from docker.types import DeviceRequest  # noqa: PLC0415 - loaded with the engine

        if not self._assignment.devices:
            return []
        return [DeviceRequest(device_ids=self._assignment.devices, capabilities=[["gpu"]])]

    def _user_labels(self) -> dict[str, str]:
        given = self._given.get("labels") or {}
        return dict(given) if isinstance(given, dict) else dict.fromkeys(given, "")


def take_up(workspace: Workspace, assignment: Assignment, stop_fd: int) -> ContainerWorker | None:
    """Return the container that a dead runner left, followed from where that one was.

    None where it is gone or never ran; waits for an engine that is away.
    """
    options = container_options(assignment.spec["worker"])
    engine = await_engine(math.inf, workspace.remark, stop_fd)
    engine.labels = labels(assignment)
    log = LogPump(workspace.log_path, workspace.output_written(), tty=bool(options.get("tty")))
    identity = ContainerWorker.identity_of(container_name(assignment))
    worker = ContainerWorker.adopt(engine, identity, log)
    if worker is not None:
        image_id = workspace.facts().get("image", {}).get("id")
        worker.afterwards = lambda: _take_files_back(
            engine, image_id, assignment.spec["worker"], workspace
        )
    return worker


def _take_files_back(
    engine: Engine, image_id: str | None, worker: dict[str, Any], workspace: Workspace
) -> None:
    if image_id is None or not is_needed(engine, worker.get("user")):
        return
    try:
        take_back(engine, image_id, workspace.root)
    except StartFailed as error:
        workspace.remark(f"Foundations WARNING: {error.message}\n".encode())


def labels(assignment: Assignment) -> dict[str, str]:
    """Return what tells whose a container is."""
    return {
        "atlas.instance": assignment.instance,
        "atlas.job": assignment.job_id,
        "atlas.attempt": str(assignment.attempt),
        "atlas.number": str(assignment.number),
    }


def container_name(assignment: Assignment) -> str:
    """Return the name of an attempt's container: no other ever has it."""
    return f"atlas-{assignment.job_id}-{assignment.number}"


def _shared_memory() -> int | None:
    """Return as many bytes of /dev/shm as this machine has: data loaders take a lot."""
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108 - no file is made there
    except OSError:
        return None
    return found.f_blocks * found.f_frsize or None
