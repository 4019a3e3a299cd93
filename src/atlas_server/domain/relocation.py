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
    given: Sequence[str] = (),
) -> Allocation:
    """Return the same amounts on the nodes of these names.

    The engine alone knows which devices it gave. What the runner on the first node has told of them
    is `given`; elsewhere, and before that, they are thought to be such as no `others` has.
    """
    held = [part for other in others for part in other.parts()]
    first, *further = [
        _moved(part, name, nodes, held)
        for part, name in zip(allocation.parts(), names, strict=False)
    ]
    there = next((each for each in nodes if each.name == first.node), None)
    known = devices(there, given) if there is not None else ()
    if known and len(known) == len(first.gpus):
        shares = [share for _, share in first.gpus]
        first = replace(first, gpus=tuple(zip(known, shares, strict=True)))
    return replace(first, others=tuple(further))


def devices(node: Node, given: Sequence[str]) -> tuple[str, ...]:
    """Return the node's devices that were `given`; none where it does not know one of them."""
    found = [node.device(name) for name in given]
    return () if None in found else tuple(uuid for uuid in found if uuid is not None)


def _moved(
    allocation: Allocation, node: str, nodes: Sequence[Node], others: Sequence[Allocation]
) -> Allocation:
    there = next((each for each in nodes if each.name == node), None)
    taken = {uuid for other in others if other.node == node for uuid, _ in other.gpus}
    uuids = [gpu.uuid for gpu in there.gpus] if there is not None else []
    free = [uuid for uuid in uuids if uuid not in taken] + [uuid for uuid in uuids if uuid in taken]
    gpus = tuple((uuid, share) for uuid, (_, share) in zip(free, allocation.gpus, strict=False))
    return Allocation(node, allocation.cpus, allocation.memory, gpus)
