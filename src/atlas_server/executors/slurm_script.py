"""What is handed to sbatch for one attempt: options and a script. Pure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas_server.executor_settings import SlurmSettings

_END = "ATLAS_ASSIGNMENT"
_MEGABYTE = 1 << 20
# Beside the grace: to collect what the job made, and to send it.
_COLLECTING = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What an attempt asks for on each of its `nodes`: `memory` in bytes, `timeout` in seconds.

    `node` is where a dead runner has left something to take in; `avoid` are nodes to stay away
    from.
    """

    cpus: float
    memory: int | None
    gpus: float
    timeout: float | None
    cluster: Mapping[str, Any]
    grace: float
    node: str | None = None
    avoid: tuple[str, ...] = ()
    nodes: int = 1


def options(
    request: Request, settings: SlurmSettings, where: Iterable[str] | None = None
) -> list[str]:
    """Return the options of sbatch but the name; `where` is what `wishes` has said before."""
    found = [
        "--parsable",
        # An attempt runs once: whether there is another is not Slurm's to say.
        "--no-requeue",
        *tasks(request.nodes),
        *amounts(request, settings),
        f"--signal=B:USR1@{math.ceil(request.grace + _COLLECTING)}",
        "--chdir=/",
        "--input=none",
        "--output=/dev/null",
        "--error=/dev/null",
    ]
    if request.node is not None:
        # A node that takes no jobs any more is not waited for long.
        found += [f"--nodelist={request.node}", "--time=10", "--deadline=now+15minutes"]
    return [*found, *(wishes(request, settings) if where is None else where)]


def tasks(nodes: int) -> list[str]:
    """Return the options that ask for one task on each of some nodes."""
    spread = ["--ntasks-per-node=1"] if nodes > 1 else []
    return [f"--nodes={nodes}", f"--ntasks={nodes}", *spread]


def amounts(request: Request, settings: SlurmSettings) -> list[str]:
    """Return the options that say how much is asked for, and for how long."""
    found = [f"--cpus-per-task={max(1, math.ceil(request.cpus))}"]
    if request.memory is not None:
        found.append(f"--mem={math.ceil(request.memory / _MEGABYTE)}M")
    if request.gpus:
        found.append(f"--gres=gpu:{math.ceil(request.gpus)}")
    if request.timeout is not None:
        # The runner keeps the job's own limit; this one is for what comes before and after.
        found.append(f"--time={math.ceil((request.timeout + settings.margin) / 60)}")
    return found


def wishes(request: Request, settings: SlurmSettings) -> list[str]:
    """Return the options that say where; what the job says beats what the server is set to."""
    found = []
    for key in ("partition", "account", "qos", "constraint"):
        value = request.cluster.get(key) or getattr(settings, key)
        if value:
            found.append(f"--{key}={value}")
    if request.avoid:
        found.append(f"--exclude={','.join(request.avoid)}")
    return [*found, *settings.sbatch, *request.cluster.get("sbatch", ())]


@dataclass(frozen=True, slots=True)
class Program:
    """What a batch job becomes: a module of atlas_runner, with these environment variables."""

    python: str
    variables: Mapping[str, str]
    log: str
    module: str = "errand"


def script(program: Program, assignment: Sequence[str]) -> str:
    """Return the batch script: it becomes the program, which reads its assignment from it.

    Slurm shows scripts to nobody but the owner, unlike options.
    """
    log = program.log
    folder = shlex.quote(log.rpartition("/")[0])
    variables = sorted(program.variables.items())
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables]
    python = shlex.quote(program.python)
    return "\n".join(
        [
            "#!/bin/sh",
            "umask 077",
            f"mkdir -p {folder} && exec 2>>{shlex.quote(log)}",
            *exports,
            f"exec {python} -P -m atlas_runner.{program.module} <<'{_END}'",
            *assignment,
            _END,
            "",
        ]
    )
