"""CPUs, memory and GPUs: what nodes have, what jobs ask for, what is free.

Amounts are counted in whole thousandths of a CPU or GPU and in bytes: sums of floats drift, sums
of integers do not. Thousandths are rounded down, so that n times 1/n always fits into one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from foundations.contract.spec import Resources

WHOLE = 1000
"""Thousandths of one CPU or GPU."""

GIGABYTE = 1024**3
_BILLION = 10**9


# Beside an allocation, as it is kept: the devices that the runner says it was given.
GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device; `memory` in bytes, 0 where it is not known.

    `problem` says why it gets no new jobs; None: it is in order. `number` is the one that its
    driver's tools show, with a second one for a part of a divided device.
    """

    uuid: str
    name: str
    memory: int
    problem: str | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that jobs can be placed on: `cpus` in cores, `memory` in bytes.

    A node that is not `accepting` keeps its running jobs and gets no new ones; `drained` says who
    wants it so, where that is a person's wish and not its engine's. `gpu_trouble` says
    why it has no GPUs, or fewer than one might think. `executor` is whose node it is; `condition`
    is what its engine says of it, where it has one. `pools` are names by which jobs may ask for
    it, such as partitions; `is_open` is for those that name none. `labels` are what else jobs may
    ask for, as `label=value` or a name. `containers` and `shares_gpus` say whether jobs may have an
    image there, or a part of a GPU.
    """

    name: str
    cpus: float
    memory: int
    gpus: tuple[Gpu, ...] = ()
    accepting: bool = True
    gpu_trouble: str | None = None
    executor: str = "local"
    condition: str | None = None
    pools: tuple[str, ...] = ()
    is_open: bool = True
    containers: bool = True
    shares_gpus: bool = True
    labels: tuple[str, ...] = ()
    drained: str | None = None

    def device(self, name: str) -> str | None:
        """The UUID of a device that an allocation names, by that or by its number; None: not here.

        By number where it was only declared when the job began, and has been found since.
        """
        for gpu in self.gpus:
            if name in (gpu.uuid, gpu.number):
                return gpu.uuid
        return None


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one attempt holds: `cpus` in cores, `memory` in bytes, `gpus` as (uuid, share).

    `others` is what it holds on further nodes, in the order of their ranks; `node` has rank 0.
    """

    node: str
    cpus: float
    memory: int
    gpus: tuple[tuple[str, float], ...] = ()
    others: tuple[Allocation, ...] = ()

    def parts(self) -> tuple[Allocation, ...]:
        """What it holds on each of its nodes."""
        return (replace(self, others=()), *self.others) if self.others else (self,)

    def amount(self) -> Demand:
        """How much it is on all its nodes together."""
        total = Demand()
        for part in self.parts():
            total = total.plus(held_by(part).amount())
        return total

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        told: dict[str, Any] = {
            "node": self.node,
            "cpus": self.cpus,
            "memory": self.memory,
            "gpus": [[uuid, share] for uuid, share in self.gpus],
        }
        if self.others:
            told["others"] = [other.to_json() for other in self.others]
        return told

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Allocation:
        """The allocation that `to_json` wrote. Raises KeyError, TypeError or ValueError."""
        return cls(
            node=str(value["node"]),
            cpus=float(value["cpus"]),
            memory=int(value["memory"]),
            gpus=tuple((str(uuid), float(share)) for uuid, share in value["gpus"]),
            others=tuple(cls.from_json(other) for other in value.get("others", ())),
        )


# Named tuples and not dataclasses: one decision compares and unpacks very many of them.
class Demand(NamedTuple):
    """An amount of everything: thousandths of CPUs, bytes, thousandths of GPUs."""

    cpus: int = 0
    memory: int = 0
    gpus: int = 0

    def plus(self, other: Demand, times: int = 1) -> Demand:
        """This amount and `times` the other."""
        return Demand(
            self.cpus + other.cpus * times,
            self.memory + other.memory * times,
            self.gpus + other.gpus * times,
        )

    def times(self, number: int) -> Demand:
        """This amount `number` times: on so many nodes, say."""
        return self if number == 1 else Demand().plus(self, number)


class Held(NamedTuple):
    """An allocation on a known node, counted in thousandths and bytes."""

    cpus: int
    memory: int
    gpus: tuple[tuple[str, int], ...]

    def amount(self) -> Demand:
        """How much it is, whichever the devices."""
        return Demand(self.cpus, self.memory, sum(share for _, share in self.gpus))

    def on(self, node: str) -> Allocation:
        """The same as an allocation on that node."""
        return Allocation(
            node,
            self.cpus / WHOLE,
            self.memory,
            tuple((uuid, share / WHOLE) for uuid, share in self.gpus),
        )


def thousandths(amount: float) -> int:
    """Whole thousandths, rounded down but for what is float error."""
    return math.floor(amount * WHOLE + 1e-6)


def recorded(allocation: Allocation, nodes: Iterable[Node]) -> dict[str, Any]:
    """What is kept of an allocation: its JSON form and, for people, what its devices are called."""
    kept = allocation.to_json()
    parts = allocation.parts()
    uuids = [uuid for part in parts for uuid, _ in part.gpus]
    if uuids:
        held = {part.node for part in parts}
        names = {gpu.uuid: gpu.name for node in nodes if node.name in held for gpu in node.gpus}
        kept["gpu_names"] = {uuid: names.get(uuid, "") for uuid in uuids}
    return kept


def demand_of(request: Resources) -> Demand:
    """A valid request, counted; memory that is not counted is 0."""
    return Demand(thousandths(request.cpus), request.memory or 0, thousandths(request.gpus))


def held_by(allocation: Allocation) -> Held:
    """What an allocation is on its (first) node, counted."""
    return Held(
        thousandths(allocation.cpus),
        allocation.memory,
        tuple((uuid, thousandths(share)) for uuid, share in allocation.gpus),
    )


def capacity(nodes: Iterable[Node]) -> Demand:
    """Everything that the nodes have, used or free."""
    total = Demand()
    for node in nodes:
        total = total.plus(Demand(thousandths(node.cpus), node.memory, WHOLE * len(node.gpus)))
    return total


def dominant_share(amount: Demand, total: Demand) -> int:
    """The largest part that an amount is of the total, over all resources, in billionths."""
    return max(
        amount.cpus * _BILLION // (total.cpus or 1),
        amount.memory * _BILLION // (total.memory or 1),
        amount.gpus * _BILLION // (total.gpus or 1),
    )


def validate(request: Resources) -> str | None:
    """What is wrong with a request, or None. Whether any node is large enough: `can_ever_fit`."""
    cpus, memory, gpus = request.cpus, request.memory, request.gpus
    if not _is_number(cpus) or cpus < 0.001:
        return f"cpus must be a number from 0.001 on, not {cpus!r}"
    if memory is not None and (type(memory) is not int or memory <= 0):
        return f"memory must be a whole number of bytes above 0, not {memory!r}"
    if not _is_number(gpus) or gpus < 0 or 0 < gpus < 0.001 or (gpus > 1 and gpus != int(gpus)):
        return f"gpus must be a whole number, or a share of one GPU below 1, not {gpus!r}"
    limit = request.cpu_limit
    if limit is not None and (not _is_number(limit) or limit < 0.001):
        return f"cpu_limit must be a number from 0.001 on, not {limit!r}"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Free:
    """What is free on one node while one decision is made; changes as jobs are put on it.

    Devices that are out of order are as good as absent, unless all are taken to be `repaired`.
    """

    __slots__ = ("all_cpus", "cpus", "gpus", "memory", "node", "unused_gpus", "whole", "widest")

    def __init__(self, node: Node, *, repaired: bool = False) -> None:
        self.node = node
        self.all_cpus = self.cpus = thousandths(node.cpus)
        self.memory = node.memory
        self.gpus = {gpu.uuid: WHOLE for gpu in node.gpus if repaired or gpu.problem is None}
        self._measure_gpus()

    def _measure_gpus(self) -> None:
        """Of devices: how many nobody uses, the largest free share of one, all that is free."""
        shares = list(self.gpus.values())
        self.whole = shares.count(WHOLE)
        self.widest = max(shares, default=0)
        self.unused_gpus = sum(shares)

    def copy(self) -> Free:
        """The same, to be changed on its own."""
        twin = object.__new__(Free)
        twin.node, twin.cpus, twin.memory = self.node, self.cpus, self.memory
        twin.all_cpus, twin.gpus = self.all_cpus, dict(self.gpus)
        twin.whole, twin.widest, twin.unused_gpus = self.whole, self.widest, self.unused_gpus
        return twin

    def fits(self, demand: Demand) -> bool:
        """Whether all of it is free here now."""
        cpus, memory, gpus = demand
        return (
            cpus <= self.cpus
            and (memory <= self.memory or not memory)
            and (not gpus or self.fits_gpus(gpus))
        )

    def fits_gpus(self, gpus: int) -> bool:
        """Whether so many thousandths are free: a share on one device, whole ones on several."""
        if gpus < WHOLE:
            return self.node.shares_gpus and gpus <= self.widest
        return gpus <= self.whole * WHOLE

    def options(self, demand: Demand) -> Iterator[Held]:
        """Ways to hold a demand that fits here, best first.

        A share goes to the fullest device with room for it; whole devices are taken in order.
        """
        cpus, memory, gpus = demand
        if gpus == 0:
            yield Held(cpus, memory, ())
        elif gpus < WHOLE:
            # Stable: among equally full devices the first of the node.
            for uuid, share in sorted(self.gpus.items(), key=lambda item: item[1]):
                if share >= gpus:
                    yield Held(cpus, memory, ((uuid, gpus),))
        else:
            unused = [uuid for uuid, share in self.gpus.items() if share == WHOLE]
            yield Held(cpus, memory, tuple((uuid, WHOLE) for uuid in unused[: gpus // WHOLE]))

    def leftover(self, demand: Demand) -> tuple[int, int, float]:
        """How badly a demand that fits would use this node: the least is the best fit.

        GPUs first, whole ones above all: a job without GPUs belongs where it keeps none of them
        from others. Then the part that is left of the resource that gets scarcest here.
        """
        cpus, memory, gpus = demand
        if gpus == 0:
            spare_gpus = self.unused_gpus
        elif gpus < WHOLE:
            spare_gpus = min(share for share in self.gpus.values() if share >= gpus) - gpus
        else:
            spare_gpus = self.whole * WHOLE - gpus
        spare = (self.cpus - cpus) / self.all_cpus if self.all_cpus else 0.0
        if memory:
            spare = min(spare, (self.memory - memory) / self.node.memory)
        return spare_gpus, len(self.gpus), spare

    def take(self, held: Held) -> None:
        """Count something as used. Devices that the node does not have now are passed over."""
        self._change(held, -1)

    def give(self, held: Held) -> None:
        """Undo `take`."""
        self._change(held, 1)

    def _change(self, held: Held, sign: int) -> None:
        self.cpus += sign * held.cpus
        self.memory += sign * held.memory
        if held.gpus:
            for name, share in held.gpus:
                uuid = name if name in self.gpus else self.node.device(name)
                if uuid in self.gpus:
                    self.gpus[uuid] += sign * share
            self._measure_gpus()
