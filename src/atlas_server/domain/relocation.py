"""An allocation on the nodes that an engine has chosen, where placement had thought of others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from atlas_server.domain.resources import Allocation, Node


def relocated(
    allocation: Allocation,
    names: Sequence[str],
    nodes: Sequence[Node],
    others: Iterable[Allocation],
) -> Allocation:
    """Return the same amounts on the nodes of these names, with devices that no `others` has.

    The engine alone knows which devices it gave: only their number counts here.
    """
    held = [part for other in others for part in other.parts()]
    first, *further = [
        _moved(part, name, nodes, held)
        for part, name in zip(allocation.parts(), names, strict=False)
    ]
    return replace(first, others=tuple(further))


def _moved(
    allocation: Allocation, node: str, nodes: Sequence[Node], others: Sequence[Allocation]
) -> Allocation:
    there = next((each for each in nodes if each.name == node), None)
    taken = {uuid for other in others if other.node == node for uuid, _ in other.gpus}
    uuids = [gpu.uuid for gpu in there.gpus] if there is not None else []
    free = [uuid for uuid in uuids if uuid not in taken] + [uuid for uuid in uuids if uuid in taken]
    gpus = tuple((uuid, share) for uuid, (_, share) in zip(free, allocation.gpus, strict=False))
    return Allocation(node, allocation.cpus, allocation.memory, gpus)
