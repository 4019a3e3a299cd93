"""Gives files that a container wrote as another user back to the user who runs jobs."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from atlas_runner.container_environment import mounts
from atlas_runner.container_layout import ROOT, Bind
from atlas_runner.engine import Engine, kept_log, words
from atlas_runner.errors import StartFailed

_FILES = f"{ROOT}/files"
_LIBRARIES = f"{ROOT}/lib"
_CHOWN = f"{ROOT}/chown"


def is_needed(engine: Engine, user: object) -> bool:
    """Whether what `worker.user` writes would not be ours."""
    return user is not None and os.geteuid() != 0 and not engine.facts.rootless


def take_back(engine: Engine, image_id: str, folder: Path) -> None:
    """Make everything below `folder` ours, by root in a container of the same image.

    The program and its libraries are this machine's: an image need not have any. Raises
    StartFailed.
    """
    program, loader = shutil.which("chown"), _loader()
    if program is None or loader is None:
        raise StartFailed("This machine has no chown that could run in a container.")
    binds = [
        Bind(str(folder), _FILES),
        Bind(os.path.realpath(program), _CHOWN, read_only=True),
        Bind(str(loader.parent), _LIBRARIES, read_only=True),
    ]
    with words():
        container = engine.client.containers.create(
            image_id,
            entrypoint=[f"{_LIBRARIES}/{loader.name}", "--library-path", _LIBRARIES, _CHOWN],
            command=["-R", "-P", "-h", f"{os.geteuid()}:{os.getegid()}", _FILES],
            user="0:0",
            network_disabled=True,
            mounts=mounts(binds),
            labels=engine.labels,
            log_config=kept_log(engine),
        )
    try:
        with words():
            container.start()
            code = container.wait()["StatusCode"]
            said = container.logs().decode(errors="replace").strip()
    finally:
        with contextlib.suppress(StartFailed), words():
            container.remove(v=True, force=True)
    if code != 0:
        raise StartFailed(f"Files of the job could not be made yours: {said}")


def _loader() -> Path | None:
    """Return the loader of shared libraries that runs this very process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith(("ld-linux", "ld-musl", "ld64")):
            return path
    return None
