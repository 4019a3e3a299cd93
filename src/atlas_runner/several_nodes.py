"""A command that runs on each node of an attempt at once.

Each process finds in its environment what torch.distributed asks for when one process a node is
started (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), the names that launchers of nodes
use (NODE_RANK, NNODES), and those by which torchrun takes its options, so that plain `torchrun
train.py` starts as many processes on each node as it is told.

On Slurm srun starts them, and the nodes see the same files. Where an engine has started a program
of ours on each node (a Group), the runner of the first one listens (launcher) and the others come
to it (member).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from atlas_runner.group import GROUP, Group

_LAUNCHER = Path(__file__).with_name("launcher.py")
_SRUN = (
    "srun",
    "--input=none",
    "--ntasks-per-node=1",
    "--kill-on-bad-exit=1",
    # Whose line it is: the log is of all nodes.
    "--label",
)
# What only Slurm's task knows. What the submitter has set stays: another port, say.
_IN_TASK = """
export RANK="$SLURM_PROCID" WORLD_SIZE="$SLURM_NTASKS" LOCAL_RANK=0 LOCAL_WORLD_SIZE=1
export NODE_RANK="$SLURM_NODEID" NNODES="$SLURM_NNODES"
export MASTER_ADDR="${MASTER_ADDR:-$SLURM_LAUNCH_NODE_IPADDR}"
export PET_NNODES="$NNODES" PET_NODE_RANK="$NODE_RANK"
export PET_MASTER_ADDR="$MASTER_ADDR" PET_MASTER_PORT="$MASTER_PORT"
trap : TERM INT HUP
"$@"
code=$?
[ "$code" -eq 0 ] || (set -C; echo "$code" >"$ATLAS_FIRST_EXIT") 2>/dev/null
exit "$code"
"""
# Where one process fails, Slurm ends the others, and srun tells the largest code of all: what
# counts is the one that came first. Signals reach the processes themselves; shells only wait.
_AROUND = """
trap : TERM INT HUP
"$@"
code=$?
[ ! -s "$ATLAS_FIRST_EXIT" ] || read -r code <"$ATLAS_FIRST_EXIT"
exit "$code"
"""


def spread(
    command: Sequence[str], environment: Mapping[str, str], place: Path, lost: Path, grace: float
) -> tuple[list[str], dict[str, str]]:
    """Return what starts the command on this node or on each, and its environment.

    `place` is the attempt's folder, the file `lost` says that a node was. Processes that are to end
    have `grace` seconds for it.
    """
    group = Group.told(os.environ)
    if group is None:
        return _by_srun(command, environment, str(place / "first-exit"))
    variables = group.variables(environment)
    if group.rank:
        return list(command), variables
    # By its file, apart from what the job's folder may call like a module of Python's.
    first = [sys.executable, "-I", str(_LAUNCHER), str(grace), str(lost), *command]
    return first, {**variables, GROUP: json.dumps(asdict(group))}


def _by_srun(
    command: Sequence[str], environment: Mapping[str, str], first_exit: str
) -> tuple[list[str], dict[str, str]]:
    """`first_exit` is a file that all nodes see: it gets the exit code of the first that fails."""
    cpus = environment.get("SLURM_CPUS_PER_TASK")
    options = [*_SRUN, *([f"--cpus-per-task={cpus}"] if cpus else [])]
    variables = {"MASTER_PORT": str(_free_port()), **environment, "ATLAS_FIRST_EXIT": first_exit}
    in_task = ["sh", "-c", _IN_TASK, "sh", *command]
    return ["sh", "-c", _AROUND, "sh", *options, *in_task], variables


def _free_port() -> int:
    """Return a port of this node, the first one, on which nobody listens."""
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])
