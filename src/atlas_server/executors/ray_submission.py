"""What is handed to Ray for one attempt: a job of its own kind. Pure."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atlas_server.domain.ports import Handle
from foundations.contract.tokens import claim_token

# Beside the grace: to collect what the job made, and to send it.
_COLLECTING = 60.0
# What all may know of an assignment: everything else comes to whoever claims it first.
_OPEN = ("attempt", "job_id", "number", "server", "instance", "home", "blobs")
# Enough to be put on a machine by its address, of which each node has one.
_A_BIT = 0.001


@dataclass(frozen=True, slots=True)
class Request:
    """What an attempt asks of Ray; `memory` in bytes, `labels` and `resources` by name.

    `machine` is the address of one where a dead runner has left something to take in.
    """

    cpus: float = 0.0
    memory: int = 0
    gpus: float = 0.0
    labels: Mapping[str, str] | None = None
    resources: Mapping[str, float] | None = None
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class RayJob:
    """A Ray job to submit: the body of the request."""

    handle: Handle
    body: Mapping[str, Any]


def told(assignment: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Return what the runner is started with: nothing that is of use to who reads it later.

    `there` is what is different on the nodes.
    """
    known = {key: assignment[key] for key in _OPEN}
    if assignment["recover"]:
        known |= {"recover": True, "ending": assignment["ending"]}
    claim = claim_token(assignment["attempt"], assignment["token"])
    return json.dumps({**known, **there, "claim": claim})


def job(
    handle: Handle,
    request: Request,
    python: str,
    variables: Mapping[str, str],
    *,
    job_id: str,
    grace: float,
) -> RayJob:
    """Return the job whose process waits for the runner."""
    body: dict[str, Any] = {
        "submission_id": handle,
        "entrypoint": f"exec {shlex.quote(python)} -P -m atlas_runner.anchor",
        "metadata": {"atlas_job": job_id},
        "runtime_env": {
            "env_vars": {
                **variables,
                # How long Ray waits for a runner that it has told to end.
                "RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(grace + _COLLECTING)),
            }
        },
        "entrypoint_num_cpus": request.cpus,
    }
    if request.gpus:
        body["entrypoint_num_gpus"] = request.gpus
    if request.memory:
        body["entrypoint_memory"] = request.memory
    resources = dict(request.resources or {})
    if request.machine is not None:
        resources[f"node:{request.machine}"] = _A_BIT
    if resources:
        body["entrypoint_resources"] = resources
    if request.labels:
        body["entrypoint_label_selector"] = dict(request.labels)
    return RayJob(handle, body)
