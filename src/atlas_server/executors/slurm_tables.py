"""What Slurm's commands print, read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from atlas_server.domain.ports import Life, Observation
from atlas_server.domain.resources import Gpu, Node
from atlas_server.executors.slurm_arrays import members
from foundations.contract.states import StateReason

# A task of an array is "12_3"; of what is none the second part is "N/A".
SQUEUE = (
    "ArrayJobID:_,ArrayTaskID:|,Name:|,State:|,exit_code:|,NodeList:|,StartTime:|,Reason:|,Comment:"
)
SACCT = "JobID,JobName,State,ExitCode,NodeList,Start,Reason"
SINFO = "NodeList:|,Partition:|,StateLong:|,CPUs:|,Memory:|,Gres:|,Reason:"

_MEGABYTE = 1 << 20
_PENDING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"}
_RUNNING = {
    "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING",
    "SPECIAL_EXIT",
}  # fmt: skip
_ENDS = {
    "OUT_OF_MEMORY": (StateReason.OUT_OF_MEMORY, "Slurm ended the job, which was out of memory."),
    "TIMEOUT": (StateReason.TIMED_OUT, "Slurm ended the job at its time limit."),
    "DEADLINE": (StateReason.TIMED_OUT, "Slurm ended the job at its deadline."),
    "PREEMPTED": (StateReason.PREEMPTED, "Slurm gave the job's place to another one."),
    "CANCELLED": (StateReason.PREEMPTED, "The job was cancelled in Slurm."),
    "REVOKED": (StateReason.PREEMPTED, "The job was revoked in Slurm."),
}
_NODE_ENDS = {"NODE_FAIL", "BOOT_FAIL"}
# Why a job waits, and limits that it waits for, by how their names begin.
_WAITS = {
    "Priority": "others go first",
    "Resources": "what it asks for is not free",
    "BeginTime": "its time has not come",
    "Dependency": "it depends on a job that has not ended",
    "DependencyNeverSatisfied": "it depends on a job that did not end as it should",
    "Licenses": "a licence is not free",
    "Reservation": "its reservation has not begun",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "it is held",
    "JobArrayTaskLimit": "so many tasks of its array run",
    "NodeDown": "a node that it needs is down",
    "ReqNodeNotAvail": "a node that it needs is not available",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is not active",
    "PartitionNodeLimit": "its partition gives no job so many nodes",
    "PartitionTimeLimit": "its partition gives no job so long",
    "InvalidAccount": "its account is not valid",
    "InvalidQOS": "its QOS is not valid",
}
_LIMITS = {
    "QOS": "its QOS has a limit",
    "Assoc": "its account has a limit",
    "MaxCpuPerAccount": "its account has a limit",
    "MaxMemPerLimit": "its account or QOS has a limit",
}
# States of nodes in which they take jobs, and marks behind one that they take none.
_TAKING = {"idle", "mixed", "mix", "allocated", "alloc", "completing", "comp", "planned"}
_MARKS = "*$@^!%"
_ANY_MARK = "*$~#@!%^-+"
# A name of nodes, in which brackets stand for several.
_HOSTS = re.compile(r"([^,\[\]]+)(?:\[([\d,-]+)\])?([^,\[\]]*)")
_GRES = re.compile(r"gpu(?::([\w.-]+))?:(\d+)")


@dataclass(frozen=True, slots=True)
class Row:
    """A job of Slurm's; `began` is whether it ever started."""

    number: str
    name: str
    state: str
    exit_code: str = "0"
    node: str | None = None
    began: bool = False
    why: str = ""

    @property
    def is_over(self) -> bool:
        """Whether Slurm has done with it."""
        return self.state not in _PENDING and self.state not in _RUNNING

    @property
    def is_pending(self) -> bool:
        """Whether it waits in Slurm's queue."""
        return self.state in _PENDING


def rows(text: str, prefix: str) -> dict[str, Row]:
    """Return the jobs whose name begins with `prefix`, by handle; of several the newest.

    `text` is what squeue prints for SQUEUE, or sacct for SACCT with `|` between.
    """
    found: dict[str, Row] = {}
    # What is left of an array that was cancelled as a whole: tasks with rows of their own are not.
    rest: dict[str, Row] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) < 7 or not fields[1].startswith(prefix):
            continue
        number, name, state, code, node, start, why, comment = (*fields, "")[:8]
        # sacct adds who cancelled a job.
        state = state.partition(" ")[0].rstrip("+")
        node = node if node and not node.startswith("(") and node != "None assigned" else None
        began = start not in ("", "N/A", "Unknown", "None") and node is not None
        of_array = number.endswith("_N/A") or "_" not in number
        into = rest if of_array else found
        for handle, each in members(number, name, prefix, comment).items():
            row = Row(each, handle, state, code, node, began, why)
            if handle not in into or into[handle].is_over:
                into[handle] = row
    return {**rest, **found}


def hosts(text: str) -> list[str]:
    """Return the nodes that Slurm means by "n[1-3,07],gpu-2"; none for nothing."""
    found: list[str] = []
    for before, ranges, after in _HOSTS.findall(text):
        found += [f"{before}{number}{after}" for number in _numbers(ranges)]
    return found


def _numbers(ranges: str) -> list[str]:
    """Return what "1-3,07" stands for; for no ranges nothing is put in, once."""
    found: list[str] = []
    for part in ranges.split(","):
        first, dash, last = part.partition("-")
        # Leading zeros are part of the names.
        numbers = range(int(first), int(last) + 1) if dash else ()
        found += [str(number).zfill(len(first)) for number in numbers] or [first]
    return found


def observation(row: Row, node_prefix: str) -> Observation:
    """Return what a row means for the runner that it is."""
    # The runner is on the first of them.
    names = [f"{node_prefix}{name}" for name in hosts(row.node or "")]
    node, others = (names[0] if names else None), tuple(names[1:])
    if row.state in _PENDING:
        return Observation(Life.WAITING, message=_why_pending(row))
    if row.state in _RUNNING:
        return Observation(Life.ALIVE, node=node, others=others)
    gone = Observation(Life.GONE, node=node, others=others, began=row.began)
    if row.state in _NODE_ENDS:
        message = f"Slurm has lost the node {row.node or '?'} on which the job ran."
        return replace(
            gone, certain=False, reachable=False, reason=StateReason.LOST, message=message
        )
    reason, message = _ENDS.get(row.state, (StateReason.LOST, None))
    if message is None and row.state != "COMPLETED":
        message = f"The job's runner ended in Slurm: {row.state.lower()}, {_code(row)}."
    return replace(gone, reason=reason, message=message)


def nodes(text: str, executor: str, default: str | None) -> tuple[Node, ...]:
    """Return the nodes that sinfo prints for SINFO, one line for each partition of each.

    `default` is the partition of jobs that name none, where that is not Slurm's own.
    """
    found: dict[str, Node] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) < 7:
            continue
        name, partition, state, cpus, memory, gres, why = fields[:7]
        pool = partition.rstrip("*")
        is_open = pool == default if default else partition.endswith("*")
        node = found.get(name)
        if node is None:
            node = _node(executor, name, state, (cpus, memory), gres, why)
        found[name] = replace(
            node, pools=(*node.pools, pool), is_open=is_open or (node.is_open and bool(node.pools))
        )
    return tuple(found.values())


def _node(executor: str, name: str, state: str, sizes: Iterable[str], gres: str, why: str) -> Node:
    cpus, memory = (_number(size) for size in sizes)
    base = state.lower().rstrip(_ANY_MARK)
    marks = state[len(base) :]
    taking = base in _TAKING and not any(mark in _MARKS for mark in marks)
    condition = base
    if "*" in marks:
        condition = f"{base}, does not answer"
    if why and why.lower() not in ("none", "n/a") and not taking:
        condition = f"{condition}: {why}"
    return Node(
        name=f"{executor}/{name}",
        cpus=float(cpus),
        memory=memory * _MEGABYTE,
        gpus=tuple(_gpus(executor, name, gres)),
        accepting=taking,
        executor=executor,
        condition=condition,
        containers=False,
        shares_gpus=False,
    )


def _gpus(executor: str, name: str, gres: str) -> Iterable[Gpu]:
    index = 0
    for kind, count in _GRES.findall(gres):
        for _ in range(int(count)):
            yield Gpu(f"{executor}/{name}:{index}", kind or "gpu", 0, number=str(index))
            index += 1


def _why_pending(row: Row) -> str | None:
    """Return why it waits, in words and in Slurm's own; None while Slurm has not looked at it."""
    why = row.why.partition(",")[0].strip()
    if why in ("", "None"):
        return None
    words = _WAITS.get(why) or next(
        (words for start, words in _LIMITS.items() if why.startswith(start)), None
    )
    return f"Waits in Slurm: {words} ({row.why})." if words else f"Waits in Slurm: {row.why}."


def _code(row: Row) -> str:
    code, separator, signal = row.exit_code.partition(":")
    status = int(code) if code.isdigit() else 0
    if not separator:
        # squeue prints what wait() gives: the signal below, the exit code in the second byte.
        status, signal = status >> 8, str(status & 127)
    return f"signal {signal}" if signal not in ("", "0") else f"exit code {status}"


def _number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0
