"""The waiting jobs, held so that a decision over very many of them is cheap.

Jobs that differ only in age (same priority, user, project, demand, time limit and wish) form a
*line*, ordered by arrival. Where the head of a line does not fit, nothing behind it does: a
decision looks at the heads alone, and costs as much as there are lines, not jobs.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from atlas_server.domain.limits import NO_RULES, Rules
from atlas_server.domain.resources import Demand, demand_of, dominant_share
from atlas_server.domain.wishes import ANYWHERE, Wish
from foundations.contract.spec import Resources


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job. `arrival` is its unique place in the order of submission, kept over retries.

    `queued_at` and `not_before` (a retry's earliest start) are in seconds since the epoch,
    `timeout` in seconds of running. The highest priority goes first.
    """

    job_id: str
    user: str
    priority: int
    arrival: int
    resources: Resources
    queued_at: float
    not_before: float | None = None
    timeout: float | None = None
    project: str = ""
    wish: Wish = ANYWHERE


@dataclass(frozen=True, slots=True)
class Standing:
    """What fairness is judged by: all there is, what each user has had of it, and their shares.

    `usage` is what a user holds now and held lately (see `past.Past`). The turn is that user's
    whose `rank` is lowest: the dominant share, weighted.
    """

    total: Demand
    usage: Mapping[str, Demand]
    rules: Rules = NO_RULES

    def of(self, user: str) -> Demand:
        """What a user has had."""
        return self.usage.get(user, Demand())

    def rank(self, user: str, amount: Demand) -> int:
        """How well off a user would be with an amount: it grows with it, and falls with the share.

        Where several users wait for the same, what they get is in proportion to their shares.
        """
        share = dominant_share(amount, self.total)
        return share if self.rules.empty else int(share / self.rules.weight(user))


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs that differ only in age; `keys` are (arrival, job_id), ascending."""

    priority: int
    user: str
    demand: Demand
    timeout: float | None
    project: str
    wish: Wish = ANYWHERE
    keys: list[tuple[int, str]] = field(default_factory=list)

    @property
    def total(self) -> Demand:
        """What one of its jobs asks for on all its nodes; `demand` is on each."""
        return self.demand.times(self.wish.nodes)


LineKey = tuple[Demand, float | None, str, Wish]
UserLines = dict[LineKey, Line]


class WaitQueue:
    """All waiting jobs. Jobs that may not start yet are kept aside until `release_due`."""

    def __init__(self) -> None:
        self._jobs: dict[str, Waiting] = {}
        self._levels: dict[int, dict[str, UserLines]] = {}
        # Removing from the middle of a heap is dear: left entries are passed over when met.
        self._delayed: list[tuple[float, int, str]] = []
        self._aside: set[str] = set()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def get(self, job_id: str) -> Waiting:
        """The waiting job. Raises KeyError."""
        return self._jobs[job_id]

    def add(self, job: Waiting) -> None:
        """Put a job in its place. Raises ValueError where it waits already."""
        if job.job_id in self._jobs:
            raise ValueError(f"job {job.job_id} is already waiting")
        self._jobs[job.job_id] = job
        if job.not_before is None:
            self._line_up(job)
        else:
            self._aside.add(job.job_id)
            heapq.heappush(self._delayed, (job.not_before, job.arrival, job.job_id))

    def remove(self, job_id: str) -> Waiting:
        """Take a job out and return it. Raises KeyError."""
        job = self._jobs.pop(job_id)
        if job_id in self._aside:
            self._aside.remove(job_id)
            self._drop_stale()
            return job
        key = _line_key(job)
        users = self._levels[job.priority]
        keys = users[job.user][key].keys
        del keys[bisect_left(keys, (job.arrival, job_id))]
        if not keys:
            del users[job.user][key]
            if not users[job.user]:
                del users[job.user]
            if not users:
                del self._levels[job.priority]
        return job

    def release_due(self, now: float) -> None:
        """Let the jobs whose `not_before` has come take part."""
        while self._delayed and self._delayed[0][0] <= now:
            job_id = self._delayed[0][2]
            self._aside.remove(job_id)
            heapq.heappop(self._delayed)
            self._line_up(self._jobs[job_id])
            self._drop_stale()

    def next_due(self) -> float | None:
        """When the next job kept aside may start, or None."""
        return self._delayed[0][0] if self._delayed else None

    def is_delayed(self, job_id: str) -> bool:
        """Whether the job is kept aside until its `not_before`."""
        return job_id in self._aside

    def delayed(self) -> list[Waiting]:
        """The jobs kept aside, the next one due first."""
        jobs = [self._jobs[job_id] for job_id in self._aside]
        return sorted(jobs, key=lambda job: (job.not_before or 0.0, job.arrival))

    def ranked(self, standing: Standing, limit: int | None = None) -> Iterator[Waiting]:
        """The jobs that may start, in the order of their turns if each started at its turn.

        Lazy: the first hundred of very many cost no more than the first hundred.
        """

        def turns() -> Iterator[Waiting]:
            turn = Turns(self, standing)
            while (head := turn.head()) is not None:
                yield self._jobs[head[0]]
                turn.start()

        return islice(turns(), limit)

    def position(self, job_id: str, standing: Standing) -> int | None:
        """How many jobs are ahead in the order of `ranked`; None for a job kept aside.

        Counts lines and not jobs. Raises KeyError.
        """
        job = self._jobs[job_id]
        if job_id in self._aside:
            return None
        higher = [self._levels[level] for level in self._levels if level > job.priority]
        ahead = sum(
            len(line.keys)
            for users in higher
            for lines in users.values()
            for line in lines.values()
        )

        def held(user: str, arrival: int) -> Demand:
            """What the user holds once the jobs above and their own older ones have started."""
            amount = standing.of(user)
            for users in higher:
                for line in users.get(user, {}).values():
                    amount = amount.plus(line.total, len(line.keys))
            for line in self._levels[job.priority][user].values():
                amount = amount.plus(line.total, bisect_left(line.keys, (arrival, "")))
            return amount

        def rank(user: str, arrival: int) -> tuple[int, int]:
            return standing.rank(user, held(user, arrival)), arrival

        mine = rank(job.user, job.arrival)
        for user, lines in self._levels[job.priority].items():
            # A user's ranks grow with arrival, so the older ones are ahead and the rest is not.
            arrivals = range(
                min(line.keys[0][0] for line in lines.values()),
                max(line.keys[-1][0] for line in lines.values()) + 1,
            )
            first_behind = arrivals.start + bisect_left(
                arrivals, True, key=lambda arrival, user=user: rank(user, arrival) >= mine
            )
            ahead += sum(bisect_left(line.keys, (first_behind, "")) for line in lines.values())
        return ahead

    def alike_ahead(self, job_id: str) -> str | None:
        """The next older job of the same line; None at its head. Raises KeyError."""
        job = self._jobs[job_id]
        if job_id in self._aside:
            return None
        line = self._levels[job.priority][job.user][_line_key(job)]
        index = bisect_left(line.keys, (job.arrival, job_id))
        return line.keys[index - 1][1] if index else None

    def levels(self) -> list[list[tuple[str, list[Line]]]]:
        """The lines of every user at every priority, the highest first."""
        return [
            [(user, list(lines.values())) for user, lines in self._levels[priority].items()]
            for priority in sorted(self._levels, reverse=True)
        ]

    def _line_up(self, job: Waiting) -> None:
        lines = self._levels.setdefault(job.priority, {}).setdefault(job.user, {})
        key = _line_key(job)
        line = lines.get(key)
        if line is None:
            line = lines[key] = Line(job.priority, job.user, *key)
        insort(line.keys, (job.arrival, job.job_id))

    def _drop_stale(self) -> None:
        """Keep a job that still waits at the top of the heap, or nothing."""
        while self._delayed and not self._is_current(*self._delayed[0]):
            heapq.heappop(self._delayed)

    def _is_current(self, due: float, arrival: int, job_id: str) -> bool:
        if job_id not in self._aside:
            return False
        job = self._jobs[job_id]
        return (job.not_before, job.arrival) == (due, arrival)


def _line_key(job: Waiting) -> LineKey:
    return demand_of(job.resources), job.timeout, job.project, job.wish


class Turns:
    """Whose turn it is, one head of a line after another.

    Priority, then the user who has had least (counting what has started on the way; in proportion
    to their shares), then arrival.
    The queue must not change meanwhile.
    """

    def __init__(self, queue: WaitQueue, standing: Standing) -> None:
        self._levels = iter(queue.levels())
        self._standing = standing
        self._usage = dict(standing.usage)
        # Of each user a heap of (arrival, job_id, index in the line, line), and above them a heap
        # of (share, arrival, job_id, user): only the user on top ever changes rank.
        self._lines: dict[str, list[tuple[int, str, int, Line]]] = {}
        self._users: list[tuple[int, int, str, str]] = []

    def head(self) -> tuple[str, Line] | None:
        """The job whose turn it is and its line; None at the end."""
        while not self._users:
            level = next(self._levels, None)
            if level is None:
                return None
            self._enter(level)
        _, _, job_id, user = self._users[0]
        return job_id, self._lines[user][0][3]

    def start(self) -> None:
        """The job whose turn it is starts: its user holds more, its line moves up."""
        user = self._users[0][3]
        heads = self._lines[user]
        _, _, index, line = heads[0]
        self._usage[user] = self._usage.get(user, Demand()).plus(line.total)
        if index + 1 < len(line.keys):
            heapq.heapreplace(heads, (*line.keys[index + 1], index + 1, line))
        else:
            heapq.heappop(heads)
        if heads:
            heapq.heapreplace(self._users, self._ranked(user))
        else:
            heapq.heappop(self._users)

    def skip_line(self) -> None:
        """Nothing of the line whose turn it is can start."""
        share, _, _, user = self._users[0]
        heads = self._lines[user]
        heapq.heappop(heads)
        if heads:
            heapq.heapreplace(self._users, (share, heads[0][0], heads[0][1], user))
        else:
            heapq.heappop(self._users)

    def _enter(self, level: list[tuple[str, list[Line]]]) -> None:
        self._lines = {user: [(*line.keys[0], 0, line) for line in lines] for user, lines in level}
        for heads in self._lines.values():
            heapq.heapify(heads)
        self._users = [self._ranked(user) for user in self._lines]
        heapq.heapify(self._users)

    def _ranked(self, user: str) -> tuple[int, int, str, str]:
        arrival, job_id, _, _ = self._lines[user][0]
        share = self._standing.rank(user, self._usage.get(user, Demand()))
        return share, arrival, job_id, user
