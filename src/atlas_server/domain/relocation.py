"""An allocation on the node that an engine has chosen, where placement had thought of another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from atlas_server.domain.resources import Allocation, Node


def relocated(
    allocation: Allocation, node: str, nodes: Sequence[Node], others: Iterable[Allocation]
) -> Allocation:
    """Return the same amounts on `node`, with devices there that none of `others` has.

    The engine alone knows which devices it gave: only their number counts here.
    """
    there = next((each for each in nodes if each.name == node), None)
    taken = {uuid for other in others if other.node == node for uuid, _ in other.gpus}
    uuids = [gpu.uuid for gpu in there.gpus] if there is not None else []
    free = [uuid for uuid in uuids if uuid not in taken] + [uuid for uuid in uuids if uuid in taken]
    gpus = tuple((uuid, share) for uuid, (_, share) in zip(free, allocation.gpus, strict=False))
    return Allocation(node, allocation.cpus, allocation.memory, gpus)
