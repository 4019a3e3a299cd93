"""The runner of one attempt on a node that an engine chose: its program there.

    python -m atlas_runner.errand < ASSIGNMENT

The engine, Slurm say, starts it with the attempt's assignment on its standard input, for a task of
an array among those of the others, and tells it to end with SIGTERM, or with SIGUSR1 where the time
that it gave is nearly over. Where others can read how an engine was told to start it, it is told no
secret (`anchor`), and asks the server for the rest.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from atlas_runner import attempt
from atlas_runner.finding import interpreter_here, server_now
from atlas_runner.group import Group
from foundations.client.api import Api
from foundations.contract import report
from foundations.contract.arrays import unfold
from foundations.contract.codec import plain
from foundations.contract.report import Assignment, Claim, Report
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
    """Carry out the attempt that standard input tells."""
    assignment = Assignment(**unfold(sys.stdin, _task_of_array()))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    _begin(assignment)
    told = _Told()
    assignment = settled(assignment, os.environ)
    if _is_ours(assignment, told):
        _carry_out(assignment, told)
    return 0


def run_claimed(text: str, listens: Callable[[], object]) -> None:
    """Carry out the attempt of which `text` tells what all may know, and that it is ours.

    `listens` is called once signals are heard.
    """
    known = json.loads(text)
    claim = known.pop("claim")
    group = Group.told(os.environ)
    # Nobody knows it but us, and the server from now on: who reads the claim later is too late.
    token = secrets.token_urlsafe(24) if group is None else group.token
    partial = Assignment(token=token, spec={}, **known)
    _begin(partial)
    told = _Told()
    listens()
    asked = plain(Claim(instance=partial.instance, token=token))
    given = _answer(partial, claim, lambda api: api.claim(asked), told)
    if given is None:
        return
    assignment = settled(Assignment(**{**given, **known}), os.environ)
    if group is not None and group.rank:
        from atlas_runner import member  # noqa: PLC0415 - for few jobs

        _carry_out(assignment, told, lambda stop: member.carry_out(assignment, group, stop=stop))
    else:
        _carry_out(assignment, told)


def clean_up(text: str) -> None:
    """End what a program that has died without a word was running, if nobody else will."""
    group = Group.told(os.environ)
    if group is not None and group.rank:
        from atlas_runner import member  # noqa: PLC0415 - for few jobs

        known = json.loads(text)
        member.end_what_is_left(known["home"], known["job_id"], known["number"], group)


def _task_of_array() -> str | None:
    """Return the number of this task; the job is not to see that it is one."""
    number = os.environ.get("SLURM_ARRAY_TASK_ID")
    for name in [name for name in os.environ if name.startswith("SLURM_ARRAY_")]:
        del os.environ[name]
    return number


def _begin(assignment: Assignment) -> None:
    logging.basicConfig(
        level=logging.WARNING,
        format=f"%(asctime)s runner of {assignment.job_id}: %(levelname)s: %(message)s",
    )


def _carry_out(
    assignment: Assignment, told: _Told, work: Callable[[bool], None] | None = None
) -> None:
    if assignment.remote:
        from atlas_runner.sdk_copies import provide_sdk  # noqa: PLC0415 - loads what few need

        provide_sdk(assignment.home)
    if work is None:
        attempt.run(assignment, stop=told.to_stop)
    else:
        work(told.to_stop)
    if assignment.remote:
        from atlas_runner.node_cache import trim_as_told  # noqa: PLC0415 - as above

        trim_as_told(assignment.home, os.environ)


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
        spec=interpreter_here(assignment.spec),
    )
    if variables.get("SLURM_RESTART_COUNT", "0") != "0":
        # Slurm was told not to, and a site may do it all the same: an attempt runs once.
        return replace(assignment, recover=True, ending=_AGAIN)
    return assignment


def _has_gpus(assignment: Assignment) -> bool:
    return bool(assignment.spec["resources"]["gpus"])


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
    reply = _answer(assignment, assignment.token, lambda api: api.report(first), told)
    if reply is None:
        return False
    told.to_stop = told.to_stop or bool(reply["stop"])
    return True


def _answer(
    assignment: Assignment, shown: str, ask: Callable[[Api], dict[str, Any]], told: _Told
) -> dict[str, Any] | None:
    """Return what the server says, whenever it does; None: it is not for us any more."""
    api = Api(assignment.server, shown)
    pause = _FIRST_PAUSE
    try:
        while True:
            try:
                return ask(api)
            except Fenced as error:
                log.warning("%s", error)
                return None
            except (Unreachable, WrongServer, ServerError) as error:
                if pause == _FIRST_PAUSE:
                    log.warning("%s It is asked again until it answers.", error)
                if told.to_stop:
                    return None
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                url = server_now(assignment, api.url)
                if url != api.url:
                    api.close()
                    api = Api(url, shown)
    finally:
        api.close()


if __name__ == "__main__":
    sys.exit(main())
