"""What is handed to Ray for one attempt: a job of Ray's. Pure."""

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
    """What an attempt asks of Ray on each of its `nodes`; `memory` in bytes.

    `labels` and `resources` go by name. `machine` is the address of one where a dead runner has
    left something to take in.
    """

    cpus: float = 0.0
    memory: int = 0
    gpus: float = 0.0
    labels: Mapping[str, str] | None = None
    resources: Mapping[str, float] | None = None
    machine: str | None = None
    nodes: int = 1


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
    program: str = "anchor",
) -> RayJob:
    """Return the job whose process waits for the runner, or for what its `program` starts."""
    is_group = request.nodes > 1
    program = "ray_group" if is_group else program
    nodes = {"atlas_nodes": str(request.nodes)} if is_group else {}
    group = {"ATLAS_GROUP_ASKED": _group(handle, request, python, grace)} if is_group else {}
    body: dict[str, Any] = {
        "submission_id": handle,
        "entrypoint": f"exec {shlex.quote(python)} -P -m atlas_runner.{program}",
        "metadata": {"atlas_job": job_id, **nodes},
        "runtime_env": {
            "env_vars": {
                **variables,
                **group,
                # How long Ray waits for a runner that it has told to end.
                "RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(grace + _COLLECTING)),
            }
        },
        # A placement group has what several nodes are to have: the job itself takes nothing.
        **({"entrypoint_num_cpus": 0} if is_group else _own(request)),
    }
    return RayJob(handle, body)


def _own(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {"entrypoint_num_cpus": request.cpus}
    if request.gpus:
        found["entrypoint_num_gpus"] = request.gpus
    if request.memory:
        found["entrypoint_memory"] = request.memory
    resources = dict(request.resources or {})
    if request.machine is not None:
        resources[f"node:{request.machine}"] = _A_BIT
    if resources:
        found["entrypoint_resources"] = resources
    if request.labels:
        found["entrypoint_label_selector"] = dict(request.labels)
    return found


def _group(handle: Handle, request: Request, python: str, grace: float) -> str:
    """Return what atlas_runner.ray_group is to ask Ray for."""
    amounts = {"CPU": request.cpus, "GPU": request.gpus, "memory": request.memory}
    bundle = {name: amount for name, amount in amounts.items() if amount}
    asked = {
        "name": handle,
        "python": python,
        "nodes": request.nodes,
        "bundle": {**bundle, **(request.resources or {})},
        "labels": dict(request.labels or {}),
        "grace": grace,
    }
    return json.dumps(asked)
