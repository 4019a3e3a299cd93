"""What Ray's API answers, read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from atlas_server.domain.ports import Life, Observation
from atlas_server.domain.resources import Gpu, Node
from atlas_server.executor_settings import Kind
from foundations.contract.states import StateReason

PENDING, RUNNING = "PENDING", "RUNNING"
# Ours: told to end before Ray had a place for it. Ray keeps such a job, and starts it some day.
WITHDRAWN = "WITHDRAWN"
START_TIMEOUT = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
_NEVER_BEGAN = {
    START_TIMEOUT,
    "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
    "JOB_ENTRYPOINT_COMMAND_START_ERROR",
}
_COMMAND_ENDED = "JOB_ENTRYPOINT_COMMAND_ERROR"
# What the runner's anchor says when the runner has died (atlas_runner/anchor.py), and what starts
# the anchors of several nodes when the first of these was lost (atlas_runner/ray_group.py).
_RUNNER_DIED = 70
_FIRST_NODE_LOST = 71
# How long a node that was lost is shown, in seconds.
_SHOWN_LOST = 3600.0
_GROWN = "not there yet: started when jobs wait for it"


@dataclass(frozen=True, slots=True)
class Row:
    """A job of Ray's; `node` is the number of the one that it is or was on, `ended` in seconds.

    One for several `nodes` is on those of a placement group: on none before it has that.
    """

    name: str
    state: str = PENDING
    node: str | None = None
    why: str = ""
    error: str | None = None
    code: int | None = None
    ended: float | None = None
    nodes: int = 1
    others: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """The numbers of all nodes that it is known to be on."""
        return self.others if self.node is None else (self.node, *self.others)

    @property
    def is_pending(self) -> bool:
        """Whether it waits in Ray."""
        return self.state == PENDING

    @property
    def is_over(self) -> bool:
        """Whether Ray has done with it."""
        return self.state not in (PENDING, RUNNING)


@dataclass(frozen=True, slots=True)
class Machine:
    """A node of Ray's: its number, by which jobs name it, its address, and what we make of it."""

    number: str
    address: str
    node: Node


def row(said: Mapping[str, Any]) -> Row:
    """Return what Ray says of one job."""
    ended = said.get("end_time")
    nodes = int((said.get("metadata") or {}).get("atlas_nodes") or 1)
    return Row(
        name=str(said.get("submission_id") or ""),
        state=str(said.get("status")),
        # What asks for a placement group is on a node of its own, which does not matter.
        node=said.get("driver_node_id") if nodes == 1 else None,
        nodes=nodes,
        why=str(said.get("message") or ""),
        error=said.get("error_type"),
        code=said.get("driver_exit_code"),
        ended=ended / 1000 if ended else None,
    )


def grouped(said: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the numbers of the nodes that placement groups have, by the groups' names."""
    found: dict[str, tuple[str, ...]] = {}
    for each in said:
        bundles = sorted(
            each.get("bundles") or [], key=lambda one: one["bundle_id"]["bundle_index"]
        )
        numbers = [one.get("node_id") for one in bundles]
        if each.get("state") == "CREATED" and all(numbers):
            found[str(each.get("name"))] = tuple(map(str, numbers))
    return found


def observation(found: Row, node: str | None, others: Sequence[str] = ()) -> Observation:
    """Return what a row means for the runner that it is; `node` is where, as we call it.

    `others` are further nodes.
    """
    if found.state == PENDING or (found.state == RUNNING and found.nodes > 1 and not found.others):
        return Observation(Life.WAITING, message="Waits in Ray for a place.")
    if found.state == RUNNING:
        return Observation(Life.ALIVE, node=node, others=tuple(others))
    gone = Observation(Life.GONE, node=node)
    if found.state == WITHDRAWN:
        # Should Ray start it all the same, the server refuses its claim.
        reason = StateReason.STOP_REQUESTED
        return replace(gone, began=False, reason=reason, message="It was stopped in Ray's queue.")
    if found.state == "STOPPED":
        said = "The job was stopped in Ray."
        # Its runner may need longer than Ray has waited.
        sure = found.node is None
        return replace(
            gone, certain=sure, began=not sure, reason=StateReason.PREEMPTED, message=said
        )
    if found.state == "FAILED":
        return _failed(found, gone)
    return gone


def _failed(found: Row, gone: Observation) -> Observation:
    if found.error in _NEVER_BEGAN:
        said = f"Ray did not start the job: {_last_line(found.why)}"
        return replace(gone, began=False, reason=StateReason.START_FAILED, message=said)
    if found.error != _COMMAND_ENDED or found.code is None:
        # What Ray cannot see any more may well live: behind a cut link, or without its head.
        said = f"Ray has lost the job: {_last_line(found.why)}"
        lost = StateReason.LOST
        return replace(gone, certain=False, reachable=False, reason=lost, message=said)
    if found.code == _RUNNER_DIED:
        return gone
    if found.code == _FIRST_NODE_LOST:
        return replace(gone, certain=False, reachable=False)
    if found.code < 0:
        return replace(gone, certain=False)  # the anchor was killed; its runner need not be
    said = f"The node could not start the job's runner: {_last_line(found.why)}"
    return replace(gone, began=False, reason=StateReason.START_FAILED, message=said)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it does not say why"


def machines(said: Iterable[Mapping[str, Any]], executor: str, now: float) -> list[Machine]:
    """Return the nodes that live, and those that were lost within the last hour."""
    alive = [each for each in said if each.get("state") == "ALIVE"]
    names = Counter(_name(each) for each in alive)
    found: list[Machine] = []
    for each in alive:
        name = _name(each)
        if names[name] > 1:
            name = f"{name}-{each['node_id'][:6]}"
        found.append(_machine(each, f"{executor}/{name}", executor))
    for each in said:
        if each.get("state") == "ALIVE" or _name(each) in names or not _is_news(each, now):
            continue
        lost = _machine(each, f"{executor}/{_name(each)}", executor)
        why = f"lost: {each.get('state_message') or 'Ray does not say why'}"
        found.append(replace(lost, node=replace(lost.node, accepting=False, condition=why)))
    return found


def _is_news(said: Mapping[str, Any], now: float) -> bool:
    planned = str(said.get("state_message") or "").startswith("Expected termination")
    return not planned and now - float(said.get("end_time_ms") or 0) / 1000 < _SHOWN_LOST


def _name(said: Mapping[str, Any]) -> str:
    return str(said.get("node_name") or said.get("node_ip") or said["node_id"][:12])


def _machine(said: Mapping[str, Any], name: str, executor: str) -> Machine:
    has: Mapping[str, float] = said.get("resources_total") or {}
    labels: Mapping[str, str] = said.get("labels") or {}
    kind = labels.get("ray.io/accelerator-type") or next(
        (key.partition(":")[2] for key in has if key.startswith("accelerator_type:")), "gpu"
    )
    gpus = tuple(
        Gpu(f"{name}:{number}", kind, 0, number=str(number))
        for number in range(int(has.get("GPU", 0)))
    )
    node = Node(
        name=name,
        cpus=float(has.get("CPU", 0)),
        memory=int(has.get("memory", 0)),
        gpus=gpus,
        executor=executor,
        condition="alive",
        labels=tuple(sorted({*(f"{key}={value}" for key, value in labels.items()), *_own(has)})),
        containers=False,
    )
    return Machine(said["node_id"], str(said.get("node_ip") or ""), node)


def _own(resources: Iterable[str]) -> set[str]:
    """Return the names of resources that somebody has given a node."""
    usual = {"CPU", "GPU", "memory", "object_store_memory"}
    return {name for name in resources if name not in usual and ":" not in name}


def to_come(kinds: Iterable[Kind], there: Iterable[Node], executor: str) -> list[Node]:
    """Return the nodes that the cluster's autoscaler may still add.

    Jobs are placed on them like on others: handed to Ray they wait there, which is what its
    autoscaler looks at.
    """
    nodes = [node for node in there if node.accepting]
    found: list[Node] = []
    for number, kind in enumerate(kinds):
        like = [node for node in nodes if _is_of(kind, node)]
        nodes = [node for node in nodes if node not in like]
        for place in range(kind.nodes - len(like)):
            name = f"{executor}/new-{number + 1}-{place + 1}"
            gpus = tuple(
                Gpu(f"{name}:{each}", "gpu", 0, number=str(each)) for each in range(kind.gpus)
            )
            found.append(
                Node(
                    name, kind.cpus, kind.memory, gpus, executor=executor, condition=_GROWN,
                    labels=kind.labels, containers=False,
                )
            )  # fmt: skip
    return found


def _is_of(kind: Kind, node: Node) -> bool:
    return (
        node.cpus >= kind.cpus
        and node.memory >= kind.memory
        and len(node.gpus) >= kind.gpus
        and set(kind.labels).issubset(node.labels)
    )
