"""How many jobs of a kind the machines take at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from atlas_server.domain.resources import Node
from foundations.contract.spec import Resources


def slots(asked: Resources, nodes: Sequence[Node], each: int = 1) -> int:
    """How many jobs that ask for this run at once where nothing else does; 1 at least.

    `each` is on how many nodes one of them is at once.
    """
    return max(1, sum(_on(asked, node) for node in nodes) // each)


def gpus_of_trial(spec: Mapping[str, Any]) -> float:
    """How many GPUs a trial has, on all its nodes; `spec` is the JSON form of its JobSpec."""
    return float(spec["resources"]["gpus"]) * int(spec.get("num_nodes", 1))


def _on(asked: Resources, node: Node) -> int:
    limits = [_times(node.cpus, asked.cpus)]
    if asked.memory:
        limits.append(node.memory // asked.memory)
    if asked.gpus:
        # Shares of a GPU lie on one; whole ones may be any.
        each = _times(1, asked.gpus) if asked.gpus < 1 else 1 / asked.gpus
        limits.append(math.floor(len(node.gpus) * each + 1e-9))
    return min(limits)


def _times(whole: float, part: float) -> int:
    return math.floor(whole / part + 1e-9) if part else 1_000
