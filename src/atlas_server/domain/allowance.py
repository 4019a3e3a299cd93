"""What users and projects may still start, while a decision is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from atlas_server.domain.limits import Limits, Rules, Scope, scopes
from atlas_server.domain.resources import WHOLE, Demand, thousandths

_NAMED = 3  # jobs in a sentence


class Starting(Protocol):
    """Something that counts against limits: a waiting job, or a line of them."""

    @property
    def user(self) -> str:
        """Whose it is."""
        ...

    @property
    def project(self) -> str:
        """Of which project."""
        ...


class Start(NamedTuple):
    """A job that is not there yet."""

    user: str
    project: str


class Use(NamedTuple):
    """Jobs, and what they hold in thousandths of CPUs and GPUs."""

    jobs: int = 0
    cpus: int = 0
    gpus: int = 0

    def plus(self, other: Use) -> Use:
        """Both together."""
        return Use(self.jobs + other.jobs, self.cpus + other.cpus, self.gpus + other.gpus)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The limit that keeps a job from starting.

    `most` of `what` (a field of `Use`) is the limit. `promised_to` is the job that goes first;
    `hopeless`: the job alone asks for more.
    """

    scope: Scope
    what: str
    most: int
    promised_to: str | None = None
    hopeless: bool = False


class Allowance:
    """Counts what runs and what is started against the limits.

    A job that has waited too long for its limit is *promised* what it asks for: those behind it
    that count against the same limits start only if that leaves enough for it. Of each user and
    project one job at a time is promised something.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._used: dict[Scope, Use] = {}
        self._promised: dict[Scope, tuple[str, Use]] = {}
        self._holders: dict[Scope, list[tuple[str, Use]]] = {}

    def take(self, job_id: str, of: Starting, demand: Demand) -> None:
        """Count a job that runs or is started."""
        if self.rules.empty:
            return
        use = Use(1, demand.cpus, demand.gpus)
        for scope in scopes(of.user, of.project):
            self._used[scope] = self._used.get(scope, Use()).plus(use)
            self._holders.setdefault(scope, []).append((job_id, use))

    def promise(self, job_id: str, of: Starting, demand: Demand) -> None:
        """Keep what is left for a job that has waited too long."""
        if self.rules.empty:
            return
        for scope in scopes(of.user, of.project):
            self._promised.setdefault(scope, (job_id, Use(1, demand.cpus, demand.gpus)))

    def obstacle(self, of: Starting, demand: Demand, job_id: str | None = None) -> Obstacle | None:
        """The limit that keeps a job from starting now, if one does; `job_id`: the one promised."""
        if self.rules.empty:
            return None
        wanted = Use(1, demand.cpus, demand.gpus)
        for scope in scopes(of.user, of.project):
            limits = self.rules.of(scope)
            used = self._used.get(scope, Use())
            what = _exceeded(limits, used.plus(wanted), wanted)
            if what is not None:
                most = _most(limits, what)
                return Obstacle(scope, what, most, hopeless=getattr(wanted, what) > most)
            promised = self._promised.get(scope)
            if promised is not None and promised[0] != job_id:
                what = _exceeded(limits, used.plus(wanted).plus(promised[1]), wanted)
                if what is not None:
                    return Obstacle(scope, what, _most(limits, what), promised[0])
        return None

    def sentence(self, obstacle: Obstacle) -> str:
        """Why a job waits that an obstacle keeps from starting."""
        whose = f"{obstacle.scope.words()}'s limit of {counted(obstacle.what, obstacle.most)}"
        if obstacle.hopeless:
            return f"cannot start: {whose} is less than it asks for"
        if obstacle.promised_to is not None:
            return f"waits: what is left of {whose} is kept for job {obstacle.promised_to}"
        holders = [
            job_id
            for job_id, use in self._holders.get(obstacle.scope, ())
            if getattr(use, obstacle.what)
        ]
        if not holders:
            return f"waits: {whose} lets none start"
        named = ", ".join(holders[:_NAMED])
        more = len(holders) - _NAMED
        by = f"job{'s' if len(holders) > 1 else ''} {named}" + (f" and {more} more" * (more > 0))
        return f"waits: {whose} is used by {by}"


def beyond(rules: Rules, of: Starting, demand: Demand) -> Obstacle | None:
    """The limit that is lower than what one job asks for."""
    obstacle = Allowance(rules).obstacle(of, demand)
    return obstacle if obstacle is not None and obstacle.hopeless else None


def counted(what: str, amount: int) -> str:
    """An amount in words: "2 GPUs", "1 running job"."""
    if what == "jobs":
        return f"{amount} running job{'s' * (amount != 1)}"
    return f"{amount / WHOLE:g} {what[:-1].upper()}{'s' * (amount != WHOLE)}"


def _most(limits: Limits, what: str) -> int:
    value = getattr(limits, what)
    return int(value) if what == "jobs" else thousandths(value)


def _exceeded(limits: Limits, total: Use, wanted: Use) -> str | None:
    """What of `wanted` is too much where the total would be held."""
    for what, amount, asked in zip(Use._fields, total, wanted, strict=True):
        if asked and getattr(limits, what) is not None and amount > _most(limits, what):
            return what
    return None
