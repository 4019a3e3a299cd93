"""How long one scheduling decision takes with 100,000 waiting jobs.

    python bench/placement.py [--jobs N] [--repeats N]

Every case prints the median of a decision that starts nothing (all nodes are full but for scraps),
of one right after a node's worth of jobs has ended, and of one on idle nodes, in milliseconds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence

from atlas_server.domain.explanation import explain_many
from atlas_server.domain.placement import Decision, Running, place, standing_of
from atlas_server.domain.queue import Waiting, WaitQueue
from atlas_server.domain.resources import GIGABYTE, Gpu, Node
from foundations.contract.spec import Resources

NOW = 1_000_000.0


def make_nodes(count: int) -> list[Node]:
    """Nodes of 64 CPUs, 512 GB and 8 GPUs."""
    return [
        Node(
            f"node{index}",
            64,
            512 * GIGABYTE,
            tuple(Gpu(f"{index}-{device}", "GPU", 80 * GIGABYTE) for device in range(8)),
        )
        for index in range(count)
    ]


def make_kinds(count: int, source: random.Random) -> list[tuple[str, int, Resources]]:
    """So many distinct kinds of jobs: user, priority, resources."""
    if count == 1:
        return [("user0", 0, Resources(2, 8 * GIGABYTE, 1))]
    kinds: set[tuple[str, int, Resources]] = set()
    while len(kinds) < count:
        kinds.add(
            (
                f"user{source.randrange(20)}",
                source.choice([0, 0, 0, 1]),
                Resources(
                    source.randint(1, 160) / 10,
                    source.randint(1, 128) * GIGABYTE,
                    source.choice([0, 0, 0.25, 0.5, 1, 1, 2, 4, 8]),
                ),
            )
        )
    return sorted(kinds, key=repr)


def fill(
    jobs: int, kinds: Sequence[tuple[str, int, Resources]], source: random.Random
) -> WaitQueue:
    """A queue of jobs that came one a second, half of them lately."""
    queue = WaitQueue()
    for index in range(jobs):
        user, priority, resources = source.choice(kinds)
        queued_at = NOW - 600 * (1 - index / jobs)
        queue.add(Waiting(f"job{index}", user, priority, index, resources, queued_at))
    return queue


def start(queue: WaitQueue, decision: Decision, source: random.Random) -> list[Running]:
    """Carry a decision out."""
    started: list[Running] = []
    for placement in decision.starts:
        job = queue.remove(placement.job_id)
        timeout = source.choice([None, 3600.0])
        started.append(Running(job.job_id, job.user, placement.allocation, NOW - 60, timeout))
    return started


def median(repeats: int, action: Callable[[], object]) -> float:
    """Milliseconds."""
    times: list[float] = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def measure(jobs: int, kinds: int, nodes: int, repeats: int) -> str:
    """One line of the table."""
    source = random.Random(7)
    machines = make_nodes(nodes)
    queue = fill(jobs, make_kinds(kinds, source), source)
    first = place(queue, machines, (), NOW)
    idle = median(min(repeats, 3), lambda: place(queue, machines, (), NOW))
    running = start(queue, first, source)
    running += start(queue, place(queue, machines, running, NOW), source)
    full = median(repeats, lambda: place(queue, machines, running, NOW))
    fewer = [job for job in running if job.allocation.node != "node0"]
    some = median(repeats, lambda: place(queue, machines, fewer, NOW))
    ranks = standing_of(machines, running)
    listing = [job.job_id for job in queue.ranked(ranks, 100)]
    listed = median(3, lambda: explain_many(listing, queue, machines, running, NOW))
    last = f"job{jobs - 1}"
    deep = median(3, lambda: queue.position(last, ranks)) if last in queue else 0.0
    return (
        f"{kinds:>8}{nodes:>7}{len(running):>9}{full:>9.1f}{some:>11.1f}"
        f"{idle:>8.1f} ({len(first.starts)} start){listed:>12.1f}{deep:>10.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--kinds", type=int, nargs="*", default=[1, 50, 5000])
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 100])
    arguments = parser.parse_args()
    print(f"{arguments.jobs} waiting jobs; median milliseconds")
    print("   kinds  nodes  running     full  one freed    idle  explain 100  position")
    for kinds in arguments.kinds:
        for nodes in arguments.nodes:
            print(measure(arguments.jobs, kinds, nodes, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
