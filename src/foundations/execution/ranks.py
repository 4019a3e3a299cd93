"""Distributed training started by hand: which of several processes this is, and of which group."""

from __future__ import annotations

import os
import sys

from foundations.execution.processes import identify, parent_of, variables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional

_ELASTIC = "TORCHELASTIC_RUN_ID"
_ROUND = "TORCHELASTIC_RESTART_COUNT"
# Variables that launchers set: (rank, number of processes, whether the launcher ends with them).
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", False),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", True),
    ("PMI_RANK", "PMI_SIZE", True),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", True),
)
_DEEPEST = 20


class Group:
    """The processes of one training on this machine, which are one job.

    key        the same for all of them, and for no other training that lives
    launcher   identity of the process that started them
    agent      whether that process lives as long as the training, and no longer
    round      how often the launcher has started all of them again
    """

    __slots__ = ("agent", "key", "launcher", "round")

    def __init__(self, key: str, launcher: str, agent: bool, number: int) -> None:
        self.key = key
        self.launcher = launcher
        self.agent = agent
        self.round = number


def rank() -> Optional[int]:
    """Return the number of this process within a distributed training; None: it is alone."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None:
        try:
            if distributed.is_available() and distributed.is_initialized():
                return int(distributed.get_rank())
        except (AttributeError, RuntimeError, TypeError, ValueError):
            pass  # it is only just being imported, or is shut down: the variables tell
    found = _launched(os.environ)
    return None if found is None else _number(os.environ, found[0])


def group() -> Optional[Group]:
    """Return the group that a launcher has started this process in; None: it is alone."""
    variables = os.environ
    found = _launched(variables)
    if found is None:
        return None
    name, agent = found
    launcher = identify(_launcher(name))
    elastic = variables.get(_ELASTIC)
    if elastic is not None:
        # After a failure the agent starts all again, perhaps on another port.
        key = "{} {}".format(launcher, elastic)
        return Group(key, launcher, True, _number(variables, _ROUND) or 0)
    where = "{}:{}".format(variables.get("MASTER_ADDR", ""), variables.get("MASTER_PORT", ""))
    return Group("{} {}".format(launcher, where), launcher, agent, 0)


def _launched(variables: Mapping[str, str]) -> Optional[tuple[str, bool]]:
    for name, size, agent in _LAUNCHERS:
        if _number(variables, name) is not None:
            if (_number(variables, size) or 0) > 1 or _ELASTIC in variables:
                return name, agent
    return None


def _number(variables: Mapping[str, str], name: str) -> Optional[int]:
    text = variables.get(name, "")
    return int(text) if text.isdigit() else None


def _launcher(name: str) -> int:
    """Return the nearest process above that is no part of the training itself.

    There may be shells in between, which carry the variable too.
    """
    mark = os.fsencode(name) + b"="
    pid = os.getppid()
    for _ in range(_DEEPEST):
        found = variables_of(pid)
        if not found or not any(item.startswith(mark) for item in found):
            return pid
        above = parent_of(pid)
        if above <= 1:
            return pid
        pid = above
    return pid
