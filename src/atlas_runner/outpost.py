"""Brings jobs that were run by hand to a server on another machine.

A process for each job, detached from the program, which ends when the server has all of it; that
may be days later. Jobs whose own process was ended before it could come after it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from atlas_runner.adoption import adopt
from foundations import config
from foundations.contract.environment import REMOTE_FILE
from foundations.contract.report import Assignment
from foundations.execution.folder import JobFolder, place_of

_LONGEST_LOG = 1 << 20

log = logging.getLogger(__name__)


def main(root: str) -> None:
    """Bring the job in the folder `root`, then those that nobody brings any more."""
    _log_to(Path(config.home()) / "logs")
    _bring(JobFolder(root))
    for marked in sorted(Path(place_of(config.home())).glob(f"*/{REMOTE_FILE}")):
        _bring(JobFolder(str(marked.parent)), wait=False)


def _bring(folder: JobFolder, *, wait: bool = True) -> None:
    url = folder.remote()
    if url is None:
        return
    adopt(
        Assignment(
            attempt=0,
            token=config.token(url) or "",
            job_id=folder.job_id,
            number=1,
            server=url,
            instance="",
            home=config.home(),
            blobs=folder.blobs_dir,
            spec={},
            adopt=folder.root,
            remote=True,
        ),
        wait=wait,
    )


def _log_to(place: Path) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = place / "outpost.log"
    if path.exists() and path.stat().st_size > _LONGEST_LOG:
        path.replace(path.with_name("outpost.log.1"))
    logging.basicConfig(
        filename=path,
        level=logging.WARNING,
        format=f"%(asctime)s {os.getpid()}: %(levelname)s: %(message)s",
    )
