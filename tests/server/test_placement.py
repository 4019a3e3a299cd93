"""Who starts, who waits and why: rules by example, and properties over random clusters."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from atlas_server.domain.explanation import explain, explain_many
from atlas_server.domain.placement import (
    Decision,
    Policy,
    Running,
    place,
    standing_of,
)
from atlas_server.domain.queue import Waiting, WaitQueue
from atlas_server.domain.resources import GIGABYTE, Allocation, Demand, Gpu, Node, recorded
from atlas_server.domain.wishes import Wish
from foundations.contract.spec import Resources

# A busy machine fails no test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PATIENT = Policy(patience=float("inf"))
HARD = Policy(patience=0.0)


def node(name: str = "node", cpus: float = 64, gpus: int = 0, *, accepting: bool = True) -> Node:
    devices = tuple(Gpu(f"{name}-{index}", "H200", 140 * GIGABYTE) for index in range(gpus))
    return Node(name, cpus, 64 * GIGABYTE, devices, accepting)


@dataclass
class Cluster:
    """A queue, nodes and what runs on them, in a time of its own."""

    nodes: list[Node]
    policy: Policy = field(default_factory=Policy)
    now: float = 0.0
    queue: WaitQueue = field(default_factory=WaitQueue)
    running: dict[str, Running] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    submitted: int = 0

    def submit(
        self,
        job_id: str,
        resources: Resources = Resources(),  # noqa: B008 - frozen
        user: str = "u",
        priority: int = 0,
        timeout: float | None = None,
        not_before: float | None = None,
        nodes: int = 1,
    ) -> None:
        self.submitted += 1
        order, wish = self.submitted, Wish(nodes=nodes)
        self.queue.add(
            Waiting(
                job_id, user, priority, order, resources, self.now, not_before, timeout, wish=wish
            )
        )

    def decide(self) -> Decision:
        return place(self.queue, self.nodes, self.running.values(), self.now, self.policy)

    def step(self) -> list[str]:
        """Decide and start."""
        decision = self.decide()
        for placement in decision.starts:
            job = self.queue.remove(placement.job_id)
            self.running[job.job_id] = Running(
                job.job_id, job.user, placement.allocation, self.now, job.timeout, job.priority
            )
            self.started[job.job_id] = self.now
        return [placement.job_id for placement in decision.starts]

    def end(self, *job_ids: str) -> None:
        for job_id in job_ids:
            del self.running[job_id]

    def why(self, job_id: str) -> str:
        return explain(job_id, self.queue, self.nodes, self.running.values(), self.now, self.policy)

    def restart(self) -> None:
        """Know again only what is written down: who waits, and what the attempts hold."""
        queue = WaitQueue()
        for job in (*self.queue.ranked(standing_of(self.nodes, ())), *self.queue.delayed()):
            queue.add(job)
        self.queue = queue
        for name, job in self.running.items():
            written = json.dumps(recorded(job.allocation, self.nodes))
            again = Allocation.from_json(json.loads(written))
            self.running[name] = replace(job, allocation=again)

    def break_gpus(self, *broken: str) -> None:
        """Have these devices and no others be out of order."""
        self.nodes = [
            replace(
                one,
                gpus=tuple(
                    replace(gpu, problem="lost" if gpu.uuid in broken else None) for gpu in one.gpus
                ),
            )
            for one in self.nodes
        ]

    def used_devices(self) -> dict[str, list[float]]:
        used: dict[str, list[float]] = defaultdict(list)
        for held in self.held():
            for uuid, share in held.gpus:
                used[uuid].append(share)
        return used

    def held(self) -> list[Allocation]:
        """What jobs hold on each of their nodes."""
        return [part for job in self.running.values() for part in job.allocation.parts()]

    def check_capacity(self) -> None:
        for one in self.nodes:
            here = [held for held in self.held() if held.node == one.name]
            assert round(sum(held.cpus for held in here), 6) <= one.cpus
            assert sum(held.memory for held in here) <= one.memory
            assert {uuid for held in here for uuid, _ in held.gpus} <= {g.uuid for g in one.gpus}
        for shares in self.used_devices().values():
            assert round(sum(shares), 6) <= 1
            assert 1.0 not in shares or shares == [1.0]


gpus = {count: Resources(1, None, count) for count in (0, 0.25, 0.5, 1, 2, 3, 4)}

requests = st.builds(
    Resources,
    st.sampled_from([0.5, 1, 1 / 3, 2, 4]),
    st.sampled_from([None, GIGABYTE, 20 * GIGABYTE]),
    st.sampled_from([0, 0, 0.25, 1 / 3, 0.5, 1, 2, 3]),
)
submissions = st.lists(
    st.tuples(
        requests,
        st.sampled_from("uvw"),
        st.integers(0, 1),
        st.sampled_from([None, 5.0, 30.0]),
        st.sampled_from([None, None, None, 12.0]),
        st.sampled_from([1, 1, 1, 2, 3]),
    ),
    min_size=1,
    max_size=12,
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """A cluster with a past: jobs came, ran and ended, and some wait."""
    sizes = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=3))
    nodes = [node(f"n{index}", cpus, count) for index, (cpus, count) in enumerate(sizes)]
    cluster = Cluster(nodes, Policy(patience=draw(st.sampled_from([0.0, 10.0, float("inf")]))))
    for _ in range(draw(st.integers(1, 3))):
        for asked in draw(submissions):
            cluster.submit(f"job{cluster.submitted}", *asked)
        cluster.step()
        cluster.check_capacity()
        cluster.now += draw(st.sampled_from([0.0, 1.0, 11.0]))
        cluster.end(*draw(st.sets(st.sampled_from(sorted(cluster.running) or ["none"]))) - {"none"})
    if draw(st.booleans()):
        cluster.nodes[0] = replace(cluster.nodes[0], accepting=False)
    devices = [gpu.uuid for one in cluster.nodes for gpu in one.gpus]
    if devices:
        cluster.break_gpus(*draw(st.sets(st.sampled_from(devices), max_size=2)))
    return cluster


def waiting(cluster: Cluster) -> list[str]:
    ready = cluster.queue.ranked(standing_of(cluster.nodes, cluster.running.values()))
    return [job.job_id for job in (*ready, *cluster.queue.delayed())]


@unhurried
@given(clusters())
def test_never_over_capacity_and_nothing_on_closed_nodes(cluster: Cluster) -> None:
    before = len(cluster.queue)
    closed = {one.name for one in cluster.nodes if not one.accepting}
    broken = {gpu.uuid for one in cluster.nodes for gpu in one.gpus if gpu.problem}
    started = cluster.step()
    cluster.check_capacity()
    assert len(set(started)) == len(started)
    assert len(cluster.queue) == before - len(started)
    allocations = [cluster.running[job_id].allocation for job_id in started]
    placed = [part for each in allocations for part in each.parts()]
    for each in allocations:
        assert len({part.node for part in each.parts()}) == 1 + len(each.others)
    assert not closed & {held.node for held in placed}
    assert not broken & {uuid for held in placed for uuid, _ in held.gpus}


@unhurried
@given(clusters())
def test_explanations_agree_with_the_decision(cluster: Cluster) -> None:
    names = waiting(cluster)
    sentences = explain_many(
        names, cluster.queue, cluster.nodes, cluster.running.values(), cluster.now, cluster.policy
    )
    started = {placement.job_id for placement in cluster.decide().starts}
    assert {name for name, sentence in sentences.items() if sentence == "starts now"} == started
    reserved = {one.job_id for one in cluster.decide().reservations if one.hard}
    for name, sentence in sentences.items():
        assert sentence == cluster.why(name)
        assert "turn: 0" not in sentence
        if sentence.startswith("held back so that job"):
            first = sentence.removeprefix("held back so that job ").split(",")[0]
            assert first in reserved
            assert first != name


@unhurried
@given(clusters())
def test_nothing_is_left_idle_that_a_waiting_job_could_use(cluster: Cluster) -> None:
    """Without a hard reservation whatever fits starts: deciding again over the rest adds none."""
    if any(one.hard for one in cluster.decide().reservations):
        return
    cluster.step()
    for name in waiting(cluster):
        alone = Cluster(cluster.nodes, now=cluster.now, running=cluster.running)
        if not cluster.queue.is_delayed(name):
            alone.queue.add(cluster.queue.get(name))
            assert alone.decide().starts == ()


@unhurried
@given(clusters())
def test_deciding_changes_nothing(cluster: Cluster) -> None:
    names = waiting(cluster)
    assert cluster.decide() == cluster.decide()
    assert sorted(waiting(cluster)) == sorted(names)


@given(
    st.lists(st.tuples(st.sampled_from([0.25, 0.5, 1, 2]), st.integers(1, 9)), min_size=1),
    st.sampled_from([1, 2, 3, 4]),
    st.booleans(),
    st.sampled_from(["u", "uv"]),
    st.integers(1, 2),
)
@settings(unhurried, max_examples=60)
def test_the_big_job_starts_within_patience_and_the_longest_run(
    mix: list[tuple[float, int]], big: int, limited: bool, users: str, nodes: int
) -> None:
    """Small jobs never stop coming, at any time as many as fit, and yet it gets its turn."""
    machines = [node(f"n{index}", gpus=4) for index in range(nodes)]
    cluster = Cluster(machines, Policy(patience=20.0))
    ends: dict[str, float] = {}
    longest = max(length for _, length in mix)
    deadline = 10 + 20 + longest + 1
    while cluster.now <= deadline and "big" not in cluster.started:
        if cluster.now == 10:
            for name in waiting(cluster):  # older jobs are ahead by right
                cluster.queue.remove(name)
            cluster.submit("big", gpus[big], user="u" if users == "u" else "b")
        for turn in range(8 * nodes):
            share, length = mix[cluster.submitted % len(mix)]
            name = f"{length}-{cluster.submitted}"
            cluster.submit(
                name,
                gpus[share],
                user=users[turn % len(users)],
                timeout=float(length) if limited else None,
            )
        for name in cluster.step():
            if name != "big":
                ends[name] = cluster.now + int(name.split("-")[0])
        cluster.check_capacity()
        cluster.now += 1
        over = [name for name, end in ends.items() if end <= cluster.now]
        cluster.end(*over)
        for name in over:
            del ends[name]
    assert cluster.started["big"] <= deadline


def test_four_gpus_and_jobs_of_2_2_3_3_1() -> None:
    cluster = Cluster([node(gpus=4)], Policy(patience=300))
    for index, count in enumerate([2, 2, 3, 3, 1], start=1):
        cluster.submit(f"j{index}", gpus[count])
    assert cluster.step() == ["j1", "j2"]
    assert cluster.running["j1"].allocation == Allocation(
        "node", 1, 0, (("node-0", 1.0), ("node-1", 1.0))
    )
    assert cluster.why("j3") == "waits for 3 GPUs: 0 of 4 are free"
    assert cluster.why("j4") == "waits for its turn: 1 job is ahead"
    cluster.end("j1")
    assert cluster.why("j3") == "waits for 3 GPUs: 2 of 4 are free"
    assert cluster.why("j5") == "starts now"
    assert cluster.step() == ["j5"]  # passes two that do not fit
    cluster.end("j2")
    assert cluster.step() == ["j3"]
    cluster.end("j3", "j5")
    assert cluster.step() == ["j4"]


def test_after_the_patience_what_gets_free_is_kept() -> None:
    cluster = Cluster([node(gpus=4)], Policy(patience=300))
    cluster.submit("old", gpus[4])
    cluster.submit("one", gpus[2])
    cluster.queue.remove("old")
    cluster.step()
    cluster.submit("big", gpus[4])
    cluster.now = 299
    cluster.submit("early", gpus[1])
    assert cluster.step() == ["early"]
    cluster.now = 400
    cluster.submit("late", gpus[1])
    assert cluster.step() == []
    assert cluster.why("late") == "held back so that job big, which has waited 6 min, can start"
    assert [(one.job_id, one.hard) for one in cluster.decide().reservations] == [("big", True)]
    cluster.end("one", "early")
    assert cluster.step() == ["big"]
    cluster.end("big")
    assert cluster.step() == ["late"]


def test_a_hard_reservation_lets_pass_what_fits_beside_or_ends_before() -> None:
    cluster = Cluster([node(gpus=4)], HARD)
    cluster.submit("first", gpus[2], timeout=100)
    assert cluster.step() == ["first"]
    cluster.submit("big", gpus[3])
    cluster.submit("short", gpus[1], timeout=100)
    cluster.submit("long", gpus[1], timeout=101)
    cluster.submit("beside", gpus[0.5])
    assert cluster.step() == ["short", "long"]
    assert cluster.why("beside").startswith("waits for 0.5 of a GPU")
    (reservation,) = cluster.decide().reservations
    assert (reservation.job_id, reservation.at) == ("big", 100)
    cluster.end("short")
    assert cluster.step() == []
    assert cluster.why("beside").startswith("held back so that job big,")


def test_jobs_that_fit_beside_do_not_add_up_to_a_delay() -> None:
    cluster = Cluster([node(gpus=4)], HARD)
    cluster.submit("first", gpus[2])
    cluster.step()
    cluster.submit("big", gpus[3])
    for index in range(3):
        cluster.submit(f"beside{index}", gpus[0.5])
    assert cluster.step() == ["beside0", "beside1"]
    cluster.end("first")
    assert cluster.step() == ["big"]


def test_what_is_too_long_to_pass_does_not_stop_what_is_short_enough() -> None:
    cluster = Cluster([node(gpus=4)], HARD)
    cluster.submit("first", gpus[2], timeout=100)
    cluster.step()
    cluster.submit("big", gpus[4])
    cluster.submit("long", gpus[1], timeout=101)
    cluster.submit("short", gpus[1], timeout=100)
    assert cluster.step() == ["short"]


def test_limited_jobs_beside_an_end_that_is_not_known_do_not_add_up_either() -> None:
    cluster = Cluster([node(gpus=4)], HARD)
    cluster.submit("first", gpus[2])
    cluster.step()
    cluster.now = 1
    cluster.submit("big", gpus[3])
    cluster.submit("beside", gpus[1], timeout=50)
    assert cluster.step() == ["beside"]
    cluster.now = 2
    cluster.submit("more", gpus[1], timeout=50)
    assert cluster.step() == []
    cluster.end("first")
    assert cluster.step() == ["big"]


def test_a_share_avoids_the_device_that_is_needed_next() -> None:
    cluster = Cluster([node(gpus=2)], HARD)
    ending = Allocation("node", 1, 0, (("node-0", 0.5),))
    staying = Allocation("node", 1, 0, (("node-1", 0.3),))
    cluster.running["ending"] = Running("ending", "u", ending, 0, timeout=50)
    cluster.running["staying"] = Running("staying", "u", staying, 0)
    cluster.submit("whole", gpus[1])
    cluster.submit("share", gpus[0.5])
    assert cluster.step() == ["share"]
    assert cluster.running["share"].allocation.gpus == (("node-1", 0.5),)


def test_further_blocked_jobs_reserve_other_nodes_where_they_start_soonest() -> None:
    cluster = Cluster([node("a", gpus=2), node("b", gpus=2)], HARD)
    cluster.submit("x", gpus[2], timeout=100)
    cluster.submit("y", gpus[2], timeout=50)
    cluster.step()
    cluster.submit("p", gpus[2])
    cluster.submit("q", gpus[1])
    taken = {job.allocation.node: job.timeout for job in cluster.running.values()}
    reserved = {one.job_id: taken[one.node] for one in cluster.decide().reservations}
    assert reserved == {"p": 50, "q": 100}


def test_priority_then_fairness_then_arrival() -> None:
    cluster = Cluster([node(cpus=1)])
    cluster.submit("u1")
    cluster.submit("u2")
    cluster.submit("u3")
    cluster.submit("v1", user="v")
    cluster.submit("high", user="u", priority=1)
    assert cluster.step() == ["high"]
    cluster.nodes = [node(cpus=4)]
    assert cluster.step() == ["v1", "u1", "u2"]  # u holds one already; then equal: arrival


def test_two_users_alternate_within_one_decision() -> None:
    cluster = Cluster([node(cpus=4)])
    for index in range(4):
        cluster.submit(f"u{index}")
    for index in range(4):
        cluster.submit(f"v{index}", user="v")
    assert cluster.step() == ["u0", "v0", "u1", "v1"]


def test_a_retry_waits_for_its_time() -> None:
    cluster = Cluster([node()])
    cluster.submit("again", not_before=12)
    assert cluster.why("again") == "waits 12 s before retry"
    assert cluster.step() == []
    cluster.now = 12
    assert cluster.why("again") == "starts now"
    assert cluster.step() == ["again"]


def test_jobs_too_large_for_now_or_for_ever_say_so() -> None:
    cluster = Cluster([node("a", gpus=4, accepting=False), node("b", gpus=2)])
    cluster.submit("large", gpus[4])
    cluster.submit("huge", Resources(1, None, 8))
    assert cluster.step() == []
    assert cluster.why("large") == "waits for a node large enough to accept jobs again"
    assert cluster.why("huge") == "cannot start: asks for 8 GPUs; the largest node has 4"
    assert cluster.decide().reservations == ()


def test_a_job_of_several_nodes_gets_all_of_one_executor_or_none() -> None:
    nodes = [replace(node(name, cpus=4), executor=name[0]) for name in ("a1", "b1", "b2")]
    cluster = Cluster(nodes, HARD)
    cluster.submit("three", nodes=3)
    cluster.submit("busy", Resources(3), timeout=60)
    cluster.step()
    assert cluster.why("three") == (
        "cannot start: asks for 3 nodes with 1 CPU each; there are 2 such nodes"
    )
    cluster.queue.remove("three")
    cluster.nodes = nodes[1:]
    cluster.end("busy")
    cluster.submit("one", Resources(3), timeout=60)
    assert cluster.step() == ["one"]
    cluster.submit("two", Resources(2), nodes=2)
    cluster.submit("long", Resources(3))
    cluster.submit("short", Resources(3), timeout=50)
    assert cluster.step() == ["short"], "the free node is kept for the job that needs both"
    assert cluster.why("two") == ("waits for 2 nodes with 2 CPUs each: 0 of 2 have that free")
    assert {(kept.job_id, kept.at) for kept in cluster.decide().reservations} == {("two", 60)}
    cluster.end("one", "short")
    assert cluster.step()[0] == "two"
    held = cluster.running["two"].allocation
    assert sorted(part.node for part in held.parts()) == ["b1", "b2"]
    assert held.amount() == Demand(4000)


@pytest.mark.parametrize("first", ["cpu", "gpu"])
def test_jobs_without_gpus_keep_away_from_gpus(first: str) -> None:
    nodes = [node("gpu", gpus=2), node("cpu")]
    cluster = Cluster(sorted(nodes, key=lambda one: one.name != first))
    cluster.submit("job")
    cluster.step()
    assert cluster.running["job"].allocation.node == "cpu"


def test_shares_fill_one_device_and_whole_jobs_the_fuller_node() -> None:
    cluster = Cluster([node("a", gpus=4), node("b", gpus=2)])
    cluster.submit("s1", gpus[0.5])
    cluster.submit("s2", gpus[0.25])
    cluster.submit("s3", gpus[0.25])
    cluster.submit("w", gpus[1])
    cluster.step()
    devices = {job.job_id: [uuid for uuid, _ in job.allocation.gpus] for job in
               cluster.running.values()}  # fmt: skip
    assert devices["s1"] == devices["s2"] == devices["s3"]
    assert cluster.running["w"].allocation.node == "b"


def test_running_jobs_on_vanished_nodes_and_devices_are_passed_over() -> None:
    cluster = Cluster([node(gpus=1)])
    cluster.running["gone"] = Running("gone", "u", Allocation("lost", 4, 0, (("x", 1.0),)), 0)
    cluster.running["odd"] = Running("odd", "u", Allocation("node", 1, 0, (("x", 1.0),)), 0)
    cluster.submit("job", gpus[1])
    assert cluster.step() == ["job"]


@unhurried
@given(clusters())
def test_a_share_begins_a_device_only_where_no_other_has_room(cluster: Cluster) -> None:
    """So that shares leave as many whole devices as can be."""
    cluster.policy = PATIENT
    free = {
        (one.name, gpu.uuid): 1000
        for one in cluster.nodes
        if one.accepting
        for gpu in one.gpus
        if gpu.problem is None
    }
    cpus = {one.name: one.cpus for one in cluster.nodes}

    def use(held: Allocation) -> None:
        cpus[held.node] -= held.cpus
        for uuid, share in held.gpus:
            if (held.node, uuid) in free:
                free[held.node, uuid] -= round(share * 1000)

    for held in cluster.held():
        use(held)
    for start in cluster.decide().starts:
        nodes = {part.node for part in start.allocation.parts()}
        for held in start.allocation.parts():
            for uuid, share in held.gpus:
                # Memory may be what the other node lacks, and a job has a node only once.
                if share < 1 and free[held.node, uuid] == 1000 and not held.memory:
                    assert not [
                        device
                        for device, left in free.items()
                        if round(share * 1000) <= left < 1000
                        and cpus[device[0]] >= held.cpus
                        and device[0] not in nodes - {held.node}
                    ]
            use(held)


class LifeOfGpus(RuleBasedStateMachine):
    """Jobs come and go, devices break and are repaired, the server starts anew."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster([node("a", gpus=4), node("b", gpus=2)], Policy(patience=5))
        self.broken: set[str] = set()

    @rule(
        count=st.integers(1, 4),
        size=st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.7, 1, 2, 3, 4]),
        user=st.sampled_from("uv"),
        timeout=st.sampled_from([None, 3.0]),
    )
    def submit(self, count: int, size: float, user: str, timeout: float | None) -> None:
        for _ in range(count):
            name = f"job{self.cluster.submitted}"
            self.cluster.submit(name, Resources(1, None, size), user, timeout=timeout)

    @rule(seconds=st.sampled_from([0.0, 1.0, 6.0]))
    def place(self, seconds: float) -> None:
        self.cluster.now += seconds
        for name in self.cluster.step():
            held = {uuid for uuid, _ in self.cluster.running[name].allocation.gpus}
            assert not held & self.broken

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.cluster.running:
            names = st.sampled_from(sorted(self.cluster.running))
            self.cluster.end(*data.draw(st.sets(names, max_size=3)))

    @rule(broken=st.sets(st.sampled_from(["a-0", "a-1", "a-2", "a-3", "b-0", "b-1"])))
    def break_and_repair(self, broken: set[str]) -> None:
        self.broken = broken
        self.cluster.break_gpus(*broken)

    @rule()
    def restart(self) -> None:
        decided = self.cluster.decide()
        self.cluster.restart()
        assert self.cluster.decide() == decided, "it goes on as if nothing had happened"

    @invariant()
    def no_device_twice(self) -> None:
        self.cluster.check_capacity()

    def teardown(self) -> None:
        """Once all is over and repaired everything is free, and all that waited has its turn."""
        self.cluster.break_gpus()
        while len(self.cluster.queue):
            self.cluster.end(*list(self.cluster.running))
            assert self.cluster.step(), "something starts on idle machines"
        self.cluster.end(*list(self.cluster.running))
        for name, size in (("all of a", 4), ("all of b", 2)):
            self.cluster.submit(name, Resources(1, None, size))
        assert sorted(self.cluster.step()) == ["all of a", "all of b"]


TestLifeOfGpus = LifeOfGpus.TestCase
TestLifeOfGpus.settings = settings(unhurried, stateful_step_count=30)


def test_a_broken_device_is_waited_for_and_not_refused() -> None:
    cluster = Cluster([node(gpus=4)])
    cluster.submit("running", gpus[1])
    assert cluster.step() == ["running"]
    cluster.break_gpus("node-0", "node-3")  # one of them is in use
    for count in (4, 3, 2, 1, 0.5):
        cluster.submit(f"j{count}", gpus[count])
    assert cluster.why("j4") == "waits for 4 GPUs: 2 of 4 are out of order"
    assert cluster.why("j3") == "waits for 3 GPUs: 2 of 4 are out of order"
    assert {one.job_id for one in cluster.decide().reservations} <= {"j2", "j1", "j0.5"}
    assert cluster.step() == ["j2"]
    assert cluster.running["j2"].allocation.gpus == (("node-1", 1.0), ("node-2", 1.0))
    assert cluster.why("j1") == "waits for 1 GPU: 0 of 4 are free, 2 are out of order"
    assert (
        cluster.why("j0.5")
        == "waits for 0.5 of a GPU: at most 0 of one is free, 2 are out of order"
    )
    cluster.end("running")
    assert cluster.step() == []
    cluster.break_gpus("node-3")
    assert cluster.step() == ["j1"]
    assert cluster.running["j1"].allocation.gpus == (("node-0", 1.0),)


def test_a_broken_device_keeps_no_node_closed() -> None:
    """What needs all devices, one of them broken, holds up nobody, however long it waits."""
    cluster = Cluster([node(gpus=2)], HARD)
    cluster.break_gpus("node-1")
    cluster.submit("both", gpus[2])
    cluster.now = 1000
    cluster.submit("one", gpus[1])
    assert cluster.step() == ["one"]
    cluster.break_gpus()
    cluster.submit("other", gpus[1])
    assert cluster.step() == []
    assert cluster.why("other").startswith("held back so that job both")


def test_asking_after_an_unknown_job_is_an_error() -> None:
    with pytest.raises(KeyError):
        Cluster([node()]).why("nobody")
