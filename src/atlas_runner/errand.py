"""The runner of one attempt on a node that an engine chose: its program there.

    python -m atlas_runner.errand < ASSIGNMENT

The engine, Slurm say, starts it with the attempt's assignment on its standard input and tells it to
end with SIGTERM, or with SIGUSR1 where the time that it gave is nearly over.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atlas_runner import attempt
from atlas_runner.finding import server_now
from atlas_runner.node_cache import Bounds, trim
from atlas_runner.sdk_copies import provide_sdk
from foundations.client.api import Api
from foundations.contract import report
from foundations.contract.codec import plain
from foundations.contract.report import Assignment, Report
from foundations.contract.states import StateReason
from foundations.errors import Fenced, ServerError, Unreachable, WrongServer

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_AGAIN = {
    "reason": StateReason.PREEMPTED.value,
    "message": "The cluster took the job's place away, and began it anew: that is not its to say.",
}


def main() -> int:
    """Carry out the attempt."""
    assignment = Assignment(**json.loads(sys.stdin.buffer.readline()))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    logging.basicConfig(
        level=logging.WARNING,
        format=f"%(asctime)s runner of {assignment.job_id}: %(levelname)s: %(message)s",
    )
    assignment = settled(assignment, os.environ)
    told = _Told()
    if not _is_ours(assignment, told):
        return 0
    if assignment.remote:
        provide_sdk(assignment.home)
    attempt.run(assignment, stop=told.to_stop)
    bounds = Bounds.told(os.environ)
    if assignment.remote and bounds is not None:
        trim(assignment.home, bounds)
    return 0


class _Told:
    """Whether somebody has said, before the attempt began, that it is to end."""

    def __init__(self) -> None:
        self.to_stop = False
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, *_: object) -> None:
        self.to_stop = True


def settled(assignment: Assignment, variables: Mapping[str, str]) -> Assignment:
    """Return the assignment with what only the node can tell: devices, interpreter, a restart."""
    devices = variables.get("CUDA_VISIBLE_DEVICES", "") if _has_gpus(assignment) else ""
    assignment = replace(
        assignment,
        devices=[name for name in devices.split(",") if name and name != "NoDevFiles"],
        spec=_with_interpreter(assignment.spec),
    )
    if variables.get("SLURM_RESTART_COUNT", "0") != "0":
        # Slurm was told not to, and a site may do it all the same: an attempt runs once.
        return replace(assignment, recover=True, ending=_AGAIN)
    return assignment


def _has_gpus(assignment: Assignment) -> bool:
    return bool(assignment.spec["resources"]["gpus"])


def _with_interpreter(spec: dict[str, Any]) -> dict[str, Any]:
    """Where the node lacks the submitter's interpreter, ours is used."""
    wanted = spec["interpreter"]
    return spec if wanted and shutil.which(wanted) else {**spec, "interpreter": sys.executable}


def _is_ours(assignment: Assignment, told: _Told) -> bool:
    """Ask the server whether the attempt is still to be carried out, until it answers.

    It may have been given up while the engine kept us waiting, and run elsewhere by now.
    """
    first = plain(
        Report(
            attempt=assignment.attempt,
            instance=assignment.instance,
            phase=report.PREPARING,
            runner=assignment.handle,
        )
    )
    api = Api(assignment.server, assignment.token)
    pause = _FIRST_PAUSE
    try:
        while True:
            try:
                reply = api.report(first)
            except Fenced as error:
                log.warning("%s", error)
                return False
            except (Unreachable, WrongServer, ServerError) as error:
                if pause == _FIRST_PAUSE:
                    log.warning("%s It is asked again until it answers.", error)
                if told.to_stop:
                    return False
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                url = server_now(assignment, api.url)
                if url != api.url:
                    api.close()
                    api = Api(url, assignment.token)
            else:
                told.to_stop = told.to_stop or bool(reply["stop"])
                return True
    finally:
        api.close()


if __name__ == "__main__":
    sys.exit(main())
