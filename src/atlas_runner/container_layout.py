"""Where things are inside of a container, and what its environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from atlas_runner.sdk_copies import sdk_for
from atlas_runner.workspace import Workspace
from foundations.contract import environment as names

# Everything of ours lies below this folder; no volume of the user may.
ROOT = "/atlas"
JOB_SOURCE = "/job/job_source"
ATTEMPT = f"{ROOT}/attempt"
ENVIRONMENTS = f"{ROOT}/envs"
HOME = f"{ROOT}/home"
SDK = f"{ROOT}/run/sdk"


@dataclass(frozen=True)
class Bind:
    """A file or folder of this machine, seen at `target` inside of the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Layout:
    """What of an attempt is seen where.

    `code` is where the job's folder is, `working_dir` where its command starts: `code` or a folder
    below it. `environment` is a prepared environment of requirements (here, inside).
    """

    workspace: Workspace
    home: Path
    code: str
    working_dir: str
    environment: tuple[Path, str] | None = None

    def binds(self) -> list[Bind]:
        """Return what is mounted, in an order in which nothing hides what came before."""
        found = [
            Bind(str(self.workspace.job_dir), self.code),
            Bind(str(self.workspace.job_dir), f"{ATTEMPT}/job"),
            Bind(str(self.workspace.journal_dir), f"{ATTEMPT}/journal"),
            Bind(str(self.workspace.artifacts_dir), f"{ATTEMPT}/artifacts"),
            Bind(str(self.workspace.home_dir), HOME),
            *sdk_binds(self.home, self.workspace.root),
        ]
        if self.environment is not None:
            here, inside = self.environment
            found.append(Bind(str(here), inside, read_only=True))
        return found


def sdk_binds(home: Path, attempt: Path) -> list[Bind]:
    """Return how a container sees the SDK, and the YAML reader that it may need."""
    copy = sdk_for(str(home), attempt).parent
    return [
        Bind(str(package), f"{ROOT}/run/{folder}/{package.name}", read_only=True)
        for folder in ("sdk", "sdk-vendor")
        for package in sorted((copy / folder).iterdir())
    ]


def code_and_start(working_dir: str | None) -> tuple[str, str]:
    """Return where the code is and where the command starts, for a `worker.working_dir`.

    A folder below the usual place names a folder of the code; any other is where the code goes.
    """
    wanted = PurePosixPath(working_dir or JOB_SOURCE)
    if wanted.is_relative_to(JOB_SOURCE):
        return JOB_SOURCE, str(wanted)
    return str(wanted), str(wanted)


def seen_here(workspace: Workspace, worker: Mapping[str, Any], path: str) -> Path | None:
    """Return where a folder of the container is on this machine, None where it is not.

    `worker` is the job's own block. A link that leads out of what the container sees does not
    count: it would show the job's owner other files of this machine.
    """
    volumes = worker.get("volumes") or {}
    shared = {
        how["bind"]: Path(host)
        for host, how in (volumes.items() if isinstance(volumes, Mapping) else ())
        if isinstance(how, Mapping) and "bind" in how
    }
    code, _ = code_and_start(worker.get("working_dir"))
    places = {HOME: workspace.home_dir, **shared, code: workspace.job_dir}
    for inside in sorted(places, key=len, reverse=True):
        if PurePosixPath(path).is_relative_to(inside):
            root = places[inside].resolve()
            found = (root / PurePosixPath(path).relative_to(inside)).resolve()
            return found if found.is_relative_to(root) else None
    return None


def worker_environment(
    layout: Layout,
    image: Mapping[str, str],
    given: Mapping[str, str],
    fixed: Mapping[str, str],
    *,
    own_user: str | None,
) -> dict[str, str]:
    """Return the variables that are set in the container besides the image's own.

    `image` are the image's, `given` the job's, `fixed` what the job cannot change. `own_user` is
    the submitter's name where the container runs as a user that the image does not know.
    """
    own = {
        "PYTHONPATH": _joined(SDK, layout.code, given.get("PYTHONPATH"), image.get("PYTHONPATH")),
        # What is printed is to be seen now, not when a buffer is full.
        "PYTHONUNBUFFERED": "1",
        # The signal that stops a job reaches all that its command has started, as in a process.
        "TINI_KILL_PROCESS_GROUP": "1",
    }
    if layout.environment is not None:
        place = layout.environment[1]
        path = given.get("PATH") or image.get("PATH") or os.defpath
        own |= {"PATH": _joined(f"{place}/bin", path), "VIRTUAL_ENV": place}
    if own_user is not None:
        # Programs ask for these where the user database has no answer.
        own |= {"HOME": HOME, "USER": own_user, "LOGNAME": own_user}
    ours = {"PYTHONPATH", "VIRTUAL_ENV", *(["PATH"] if "PATH" in own else [])}
    users = {name: value for name, value in given.items() if name not in ours}
    places = {names.HOME: ROOT, names.ATTEMPT_DIR: ATTEMPT}
    return {**own, **users, **fixed, **places}


def _joined(*parts: str | None) -> str:
    return ":".join(part for part in parts if part)
