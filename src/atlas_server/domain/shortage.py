"""What a demand lacks, in words, and whether it could ever be met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from atlas_server.domain.resources import (
    GIGABYTE,
    WHOLE,
    Demand,
    Free,
    Node,
    capacity,
    demand_of,
    thousandths,
)
from foundations.contract.spec import Resources


def can_ever_fit(request: Resources, nodes: Sequence[Node], number: int = 1) -> str | None:
    """None where some node is large enough, else the sentence that says what is too much.

    With a `number`, where so many nodes of one executor are.

    Nodes that do not accept jobs now, and GPUs that are out of order, count as well: they may be
    back.
    """
    demand = demand_of(request)
    empty = [Free(node, repaired=True) for node in nodes]
    fitting = Counter(free.node.executor for free in empty if free.fits(demand))
    most_fitting = max(fitting.values(), default=0)
    if most_fitting >= number:
        return None
    if most_fitting:
        such = "is 1 such node" if most_fitting == 1 else f"are {most_fitting} such nodes"
        return f"asks for {number} nodes with {_words(demand)} each; there {such}"
    if not empty:
        return f"asks for {_words(demand)}; there is no node"
    most_gpus = max(len(free.gpus) for free in empty)
    if demand.gpus > most_gpus * WHOLE:
        most = _most(str(most_gpus or "none"), nodes)
        return f"asks for {_gpus(demand.gpus)}; {most}{_gpu_trouble(nodes)}"
    if 0 < demand.gpus < WHOLE and not any(node.shares_gpus for node in nodes if node.gpus):
        return f"asks for {_gpus(demand.gpus)}; only whole ones are given out there"
    most_memory = max(free.memory for free in empty)
    if demand.memory > most_memory:
        return f"asks for {_memory(demand.memory)} of memory; {_most(_memory(most_memory), nodes)}"
    most_cpus = max(free.cpus for free in empty)
    if demand.cpus > most_cpus:
        return f"asks for {_cpus(demand.cpus)}; {_most(_amount(most_cpus), nodes)}"
    return f"asks for {_words(demand)}; no single node has all of it"


def _most(amount: str, nodes: Sequence[Node]) -> str:
    if len(nodes) > 1:
        return f"the largest node has {amount}"
    return f"there {'is' if amount in ('none', '1') else 'are'} {amount}"


def _gpu_trouble(nodes: Sequence[Node]) -> str:
    """Why there are not more GPUs, where that is known and the same everywhere."""
    troubles = {node.gpu_trouble for node in nodes}
    trouble = troubles.pop()
    return f": {trouble}" if trouble and not troubles else ""


def shortage(demand: Demand, frees: Sequence[Free], number: int = 1) -> str:
    """What a demand waits for: "2 GPUs: 1 of 4 is free".

    `frees` are the nodes large enough for it, at least one; the one that lacks least is named.
    `number` is how many are wanted.
    """
    if number > 1:
        ready = sum(free.fits(demand) for free in frees)
        such = f"{ready} of {len(frees)} {'has' if ready == 1 else 'have'} that free"
        return f"{number} nodes with {_words(demand)} each: {such}"
    free = min(frees, key=lambda one: _lacking(demand, one))
    where = f" on {free.node.name}" if len(frees) > 1 else ""
    if demand.gpus and not free.fits_gpus(demand.gpus):
        broken = _broken(free.node)
        more = f", {broken} {_are(broken)} out of order" if broken else ""
        if demand.gpus < WHOLE:
            left = _amount(max(free.widest, 0))
            return f"{_gpus(demand.gpus)}: at most {left} of one is free{where}{more}"
        free_gpus = f"{free.whole} of {len(free.node.gpus)} {_are(free.whole)} free"
        return f"{_gpus(demand.gpus)}: {free_gpus}{where}{more}"
    if demand.memory > free.memory:
        left = _memory(max(free.memory, 0))
        return (
            f"{_memory(demand.memory)} of memory: "
            f"{left} of {_memory(free.node.memory)} is free{where}"
        )
    left, total = max(free.cpus, 0), free.all_cpus
    verb = "is" if left == WHOLE else "are"
    return f"{_cpus(demand.cpus)}: {_amount(left)} of {_amount(total)} {verb} free{where}"


def out_of_order(demand: Demand, nodes: Iterable[Node]) -> str | None:
    """What a demand waits for that only lacks broken GPUs: "4 GPUs: 1 of 4 is out of order"."""
    able = [node for node in nodes if node.accepting and Free(node, repaired=True).fits(demand)]
    if not able:
        return None
    node = min(able, key=_broken)
    where = f" on {node.name}" if len(able) > 1 else ""
    broken = _broken(node)
    return f"{_gpus(demand.gpus)}: {broken} of {len(node.gpus)} {_are(broken)} out of order{where}"


def inventory(node: Node) -> str:
    """What a node has: "8 CPUs, 31.2 GB of memory and 2 GPUs (NVIDIA L4)"."""
    sound = [gpu for gpu in node.gpus if gpu.problem is None]
    gpus = _gpus(len(sound) * WHOLE) if sound else "no GPU"
    remarks = [", ".join(sorted({gpu.name for gpu in sound if gpu.name}))]
    if broken := _broken(node):
        remarks.append(f"{broken} more {_are(broken)} out of order")
    remarks.append(node.gpu_trouble or "")
    told = "; ".join(remark for remark in remarks if remark)
    cpus = _cpus(thousandths(node.cpus))
    return f"{cpus}, {_memory(node.memory)} of memory and {gpus}" + (f" ({told})" if told else "")


def inventories(nodes: Sequence[Node]) -> str:
    """What all nodes have: this machine in full, those of clusters counted together."""
    told = [inventory(node) for node in nodes if node.executor == "local"]
    for name in dict.fromkeys(node.executor for node in nodes if node.executor != "local"):
        own = [node for node in nodes if node.executor == name]
        total = capacity(own)
        many = f"{len(own)} node{'' if len(own) == 1 else 's'} of {name}"
        gpus = _gpus(total.gpus) if total.gpus else "no GPU"
        told.append(
            f"{many} with {_cpus(total.cpus)}, {_memory(total.memory)} of memory and {gpus}"
        )
    return "; ".join(told) or "nothing yet: no executor has told what it has"


def _broken(node: Node) -> int:
    return sum(gpu.problem is not None for gpu in node.gpus)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _lacking(demand: Demand, free: Free) -> tuple[bool, float]:
    """For ordering: nodes with the GPUs first, then those that lack the smallest part."""
    free_gpus = free.widest if demand.gpus < WHOLE else free.whole * WHOLE
    missing = [
        (demand.gpus - free_gpus) / max(demand.gpus, 1),
        (demand.memory - free.memory) / max(demand.memory, 1),
        (demand.cpus - free.cpus) / max(demand.cpus, 1),
    ]
    return demand.gpus > free_gpus, sum(max(part, 0.0) for part in missing)


def _words(demand: Demand) -> str:
    parts = [_gpus(demand.gpus)] if demand.gpus else []
    parts += [f"{_memory(demand.memory)} of memory"] if demand.memory else []
    return " and ".join([*parts, _cpus(demand.cpus)])


def _amount(count: int) -> str:
    return f"{count / WHOLE:g}" if count < 1000 * WHOLE else f"{count / WHOLE:.0f}"


def _gpus(count: int) -> str:
    if count < WHOLE:
        return f"{_amount(count)} of a GPU"
    return f"{_amount(count)} GPU" + ("" if count == WHOLE else "s")


def _cpus(count: int) -> str:
    return f"{_amount(count)} CPU" + ("" if count == WHOLE else "s")


def _memory(count: int) -> str:
    return f"{count / GIGABYTE:.3g} GB" if count < 1000 * GIGABYTE else f"{count // GIGABYTE} GB"
