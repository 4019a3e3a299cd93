"""Limits and shares: never exceeded, never in the way of others, nobody starves."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_server.domain.explanation import explain
from atlas_server.domain.limits import (
    EVERYBODY,
    PROJECT,
    USER,
    Limits,
    Rules,
    Scope,
    checked,
    read_rules,
    scopes,
)
from atlas_server.domain.past import Past, Stay
from atlas_server.domain.placement import Fairness, Policy, Running, place, standing_of
from atlas_server.domain.queue import Standing, Waiting, WaitQueue
from atlas_server.domain.resources import GIGABYTE, Demand, Gpu, Node
from foundations.contract.spec import Resources

unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
USERS, PROJECTS = ["alice", "bob", "carol"], ["p", "q"]


class Lab:
    """One machine, its queue, and a time of its own."""

    def __init__(self, rules: Rules, gpus: int = 4, patience: float = 10.0) -> None:
        devices = tuple(Gpu(f"gpu{index}", "H200", GIGABYTE) for index in range(gpus))
        self.nodes = [Node("node", 16, 64 * GIGABYTE, devices)]
        self.rules, self.policy = rules, Policy(patience)
        self.queue, self.running = WaitQueue(), dict[str, Running]()
        self.past, self.now, self.count = Past(0.0), 0.0, 0
        self.held: Counter[str] = Counter()

    def submit(self, user: str, gpus: int = 1, project: str = "p", priority: int = 0) -> str:
        self.count += 1
        job_id = f"{user}{self.count}"
        asked = Resources(1, None, gpus)
        self.queue.add(
            Waiting(job_id, user, priority, self.count, asked, self.now, None, None, project)
        )
        return job_id

    def fairness(self) -> Fairness:
        going_on = [
            Stay(
                job.user, Demand(1000, 0, 1000 * len(job.allocation.gpus)), job.started_at, self.now
            )
            for job in self.running.values()
        ]
        return Fairness(self.rules, self.past.at(self.now, going_on))

    def step(self) -> list[str]:
        args = (self.queue, self.nodes, self.running.values(), self.now, self.policy)
        starts = place(*args, self.fairness()).starts
        for start in starts:
            job = self.queue.remove(start.job_id)
            self.running[job.job_id] = Running(
                job.job_id, job.user, start.allocation, self.now, None, job.priority, job.project
            )
        return [start.job_id for start in starts]

    def end(self, job_id: str) -> None:
        job = self.running.pop(job_id)
        amount = Demand(1000, 0, 1000 * len(job.allocation.gpus))
        self.past.add(Stay(job.user, amount, job.started_at, self.now))

    def why(self, job_id: str) -> str:
        args = (self.queue, self.nodes, self.running.values(), self.now, self.policy)
        return explain(job_id, *args, self.fairness())

    def check_limits(self) -> None:
        used: dict[Scope, list[int]] = defaultdict(lambda: [0, 0, 0])
        for job in self.running.values():
            for scope in scopes(job.user, job.project):
                for index, more in enumerate((1, job.allocation.cpus, len(job.allocation.gpus))):
                    used[scope][index] += int(more)
        for scope, (jobs, cpus, gpus) in used.items():
            limits = self.rules.of(scope)
            assert jobs <= (jobs if limits.jobs is None else limits.jobs)
            assert cpus <= (cpus if limits.cpus is None else limits.cpus)
            assert gpus <= (gpus if limits.gpus is None else limits.gpus)


some = st.none() | st.integers(0, 4)
limits = st.builds(Limits, jobs=some, cpus=some, gpus=some, share=st.none() | st.floats(0.1, 10))
rule_sets = st.builds(
    Rules,
    st.dictionaries(st.sampled_from([EVERYBODY, *USERS]), limits),
    st.dictionaries(st.sampled_from([EVERYBODY, *PROJECTS]), limits),
)
jobs = st.tuples(
    st.sampled_from(USERS), st.integers(0, 4), st.sampled_from(PROJECTS), st.integers(0, 1)
)


@unhurried
@given(rule_sets, st.lists(st.lists(jobs, max_size=6), min_size=1, max_size=8), st.randoms())
def test_limits_are_kept_and_whatever_may_run_runs(rules, rounds, chance):
    lab = Lab(rules)
    for submitted in rounds:
        for user, gpus, project, priority in submitted:
            lab.submit(user, gpus, project, priority)
        while lab.step():
            lab.check_limits()
        _check_that_nothing_idles(lab)
        for job_id in list(lab.running):
            if chance.random() < 0.5:
                lab.end(job_id)
        lab.now += 7.0
    # What does not ask for more than its limits comes to its turn, whatever the others do.
    for _ in range(lab.count + 1):
        lab.step()
        lab.check_limits()
        for job_id in list(lab.running):
            lab.end(job_id)
    for job in lab.queue.ranked(_standing(lab)):
        assert lab.why(job.job_id).startswith("cannot start: ")


def _check_that_nothing_idles(lab: Lab) -> None:
    """A job waits for the machine, a limit, or one that has waited longer, and says which."""
    for job in list(lab.queue.ranked(_standing(lab))):
        why = lab.why(job.job_id)
        assert why != "starts now"
        if why.startswith("waits: ") and "is used by" in why:
            named = why.partition("'s limit")[0].removeprefix("waits: ").removeprefix("project ")
            assert named in (job.user, job.project)
        else:
            assert why.startswith(("waits", "cannot start: ", "held back"))


def _standing(lab: Lab) -> Standing:
    return standing_of(lab.nodes, lab.running.values(), lab.fairness())


def test_a_limit_keeps_out_its_own_and_nobody_else():
    lab = Lab(Rules({"alice": Limits(gpus=2)}))
    first, second, third = (lab.submit("alice") for _ in range(3))
    other = lab.submit("bob")
    assert set(lab.step()) == {first, second, other}
    assert lab.why(third) == f"waits: alice's limit of 2 GPUs is used by jobs {first}, {second}"
    lab.end(first)
    assert lab.step() == [third]


def test_projects_have_limits_and_a_job_alone_may_be_too_much():
    lab = Lab(Rules({}, {"p": Limits(jobs=1)}))
    first, second = lab.submit("alice"), lab.submit("bob")
    assert lab.step() == [first]
    assert lab.why(second) == (f"waits: project p's limit of 1 running job is used by job {first}")
    lab.rules = Rules({"bob": Limits(gpus=0.5)})
    assert lab.why(second) == "cannot start: bob's limit of 0.5 GPUs is less than it asks for"
    assert lab.step() == []


def test_small_jobs_do_not_starve_a_large_one_of_the_same_limit():
    lab = Lab(Rules({"alice": Limits(gpus=2)}))
    small = lab.submit("alice", 1)
    lab.step()
    large = lab.submit("alice", 2)
    lab.now = 11.0
    later = lab.submit("alice", 1)
    stranger = lab.submit("bob", 1)
    assert lab.step() == [stranger], "what is left of alice's limit is the large one's"
    assert (
        lab.why(later) == f"waits: what is left of alice's limit of 2 GPUs is kept for job {large}"
    )
    lab.end(small)
    assert lab.step() == [large]


@pytest.mark.parametrize(("share", "expected"), [(1.0, 0.5), (3.0, 0.75)])
def test_users_get_what_their_shares_are(share, expected):
    lab = Lab(Rules({"alice": Limits(share=share)}), gpus=4)
    lab.past = Past(100.0)
    got: Counter[str] = Counter()
    for _ in range(200):
        lab.submit("alice")  # one ends a round: both always have some that wait
        lab.submit("bob")
        lab.step()
        for job in lab.running.values():
            got[job.user] += 1
        lab.now += 5.0
        lab.end(min(lab.running, key=lambda job_id: lab.running[job_id].started_at))
    assert abs(got["alice"] / got.total() - expected) < 0.06


@unhurried
@given(st.lists(st.sampled_from(USERS), min_size=3, max_size=20), st.data())
def test_a_user_s_own_order_is_kept_to(users, data):
    """Places that people give their jobs by hand count, whatever others do."""
    lab = Lab(Rules(), gpus=1)
    waiting = [lab.submit(user) for user in users]
    moved = lab.queue.remove(data.draw(st.sampled_from(waiting)))
    front = Waiting(moved.job_id, moved.user, 0, 0, moved.resources, 0.0, None, None, "p")
    lab.queue.add(front)
    started: list[str] = []
    while lab.queue:
        started += lab.step()
        for job_id in list(lab.running):
            lab.end(job_id)
    own = [job_id for job_id in started if job_id.startswith(moved.user)]
    assert own[0] == moved.job_id
    assert own[1:] == [one for one in waiting if one in own and one != moved.job_id]


@given(st.floats(1, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_past_fades_to_nothing_and_comes_to_what_is_held(half_life, length, later):
    amount = Demand(4000, GIGABYTE, 2000)
    past = Past(half_life)
    going_on = past.at(length, [Stay("u", amount, 0.0, length)])["u"]
    past.add(Stay("u", amount, 0.0, length))
    over = past.at(length, [])["u"]
    assert all(abs(a - b) <= 1 for a, b in zip(going_on, over, strict=True))
    assert all(part <= whole for part, whole in zip(over, amount, strict=True))
    after = past.at(length + later, [])["u"]
    assert all(part <= whole + 1 for part, whole in zip(after, over, strict=True))
    assert past.at(length + 60 * half_life, [])["u"] == Demand()
    assert Past(0.0).at(1.0, []) == {}


def test_rules_are_read_and_what_is_wrong_is_said():
    rules = read_rules({"users": {"*": {"gpus": 2, "jobs": 3}, "alice": {"gpus": 8}}})
    assert rules.of(Scope(USER, "alice")) == Limits(jobs=3, gpus=8.0)
    assert rules.of(Scope(USER, "bob")) == Limits(jobs=3, gpus=2.0)
    assert rules.of(Scope(PROJECT, "p")) == Limits()
    over = Rules({"alice": Limits(gpus=1)}).over(rules)
    assert over.of(Scope(USER, "alice")) == Limits(jobs=3, gpus=1)
    for kind, name, value in [
        (USER, "gpu", 1), (PROJECT, "share", 2), (USER, "jobs", 1.5), (USER, "gpus", -1),
        (USER, "gpus", "2"), (USER, "share", 0), (USER, "priority", 5000), (USER, "jobs", True),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=r"limit|share"):
            checked(kind, name, value)
    for wrong in (["alice"], {"user": {}}, {"users": {"alice": 3}}):
        with pytest.raises(ValueError, match=r"must|can have"):
            read_rules(wrong)
