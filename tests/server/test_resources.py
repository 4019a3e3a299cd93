"""Counting CPUs, memory and GPUs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_server.domain.resources import (
    GIGABYTE,
    Allocation,
    Demand,
    Free,
    Gpu,
    Node,
    demand_of,
    dominant_share,
    held_by,
    validate,
)
from atlas_server.domain.shortage import can_ever_fit, inventory, shortage
from foundations.contract.spec import Resources

# A busy machine fails no test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def node(name: str = "node", cpus: float = 8, memory: int = 64 * GIGABYTE, gpus: int = 0) -> Node:
    devices = tuple(Gpu(f"{name}-{index}", "H200", 140 * GIGABYTE) for index in range(gpus))
    return Node(name, cpus, memory, devices)


@unhurried
@given(
    st.floats(0.001, 1000),
    st.integers(0, 2**50),
    st.lists(st.tuples(st.text(), st.sampled_from([0.25, 1.0, 1 / 3])), max_size=4),
)
def test_allocations_survive_json(cpus: float, memory: int, gpus: list[tuple[str, float]]) -> None:
    allocation = Allocation("n", cpus, memory, tuple(gpus))
    assert Allocation.from_json(json.loads(json.dumps(allocation.to_json()))) == allocation


@unhurried
@given(st.integers(1, 1000))
def test_n_times_one_nth_fits_into_one(parts: int) -> None:
    free = Free(node(cpus=1, gpus=1))
    demand = demand_of(Resources(cpus=1 / parts, gpus=1 / parts if parts > 1 else 0.5))
    for _ in range(parts):
        assert free.fits(demand)
        free.take(next(free.options(demand)))


@unhurried
@given(st.lists(st.floats(0.001, 0.999), max_size=20), st.randoms(use_true_random=False))
def test_taking_and_giving_back_leaves_nothing_behind(shares: list[float], random: Any) -> None:
    free = Free(node(cpus=2.3, gpus=2))
    demands = [demand_of(Resources(cpus=share, gpus=share)) for share in shares]
    held = []
    for demand in demands:
        if free.fits(demand):
            held.append(next(free.options(demand)))
            free.take(held[-1])
    random.shuffle(held)
    for one in held:
        free.give(held_by(one.on("node")))
    assert (free.cpus, free.gpus, free.whole) == (2300, {"node-0": 1000, "node-1": 1000}, 2)


def test_shares_fill_the_fullest_device_and_whole_jobs_take_unused_ones() -> None:
    free = Free(node(gpus=3))
    free.take(next(free.options(Demand(gpus=300))))
    free.take(next(free.options(Demand(gpus=2000))))
    assert free.gpus == {"node-0": 700, "node-1": 0, "node-2": 0}
    assert [held.gpus for held in free.options(Demand(gpus=700))] == [(("node-0", 700),)]
    assert not free.fits(Demand(gpus=701))
    assert not free.fits(Demand(gpus=1000))


def test_an_overbooked_node_takes_nothing_but_is_not_confused() -> None:
    free = Free(node(cpus=1, memory=GIGABYTE, gpus=1))
    free.take(held_by(Allocation("node", 0.5, 2 * GIGABYTE, (("node-0", 2.0), ("gone", 1.0)))))
    assert free.fits(Demand(cpus=500))  # memory that is not counted needs none to be left
    assert not free.fits(Demand(cpus=500, memory=1))
    assert not free.fits(Demand(cpus=500, gpus=1))
    assert not free.fits(Demand(cpus=501))


@pytest.mark.parametrize(
    "request_",
    [
        Resources(),
        Resources(0.001, 1, 0.001),
        Resources(64, None, 8),
        Resources(1, 2**40, 0.5),
        Resources(1, None, 2.0),
    ],
)
def test_sound_requests_are_valid(request_: Resources) -> None:
    assert validate(request_) is None


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (Resources(cpus=0), "cpus"),
        (Resources(cpus=-1), "cpus"),
        (Resources(cpus=float("nan")), "cpus"),
        (Resources(cpus=float("inf")), "cpus"),
        (Resources(cpus=True), "cpus"),
        (Resources(cpus="2"), "cpus"),  # pyright: ignore[reportArgumentType]
        (Resources(memory=0), "memory"),
        (Resources(memory=-5), "memory"),
        (Resources(memory=1.5), "memory"),  # pyright: ignore[reportArgumentType]
        (Resources(gpus=-1), "gpus"),
        (Resources(gpus=1.5), "gpus"),
        (Resources(gpus=0.0001), "gpus"),
        (Resources(gpus=float("nan")), "gpus"),
    ],
)
def test_unsound_requests_are_named(request_: Resources, word: str) -> None:
    message = validate(request_)
    assert message is not None
    assert message.startswith(word)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (Resources(gpus=4), "asks for 4 GPUs; the largest node has 2"),
        (Resources(gpus=0.5), None),
        (Resources(cpus=64), "asks for 64 CPUs; the largest node has 32"),
        (
            Resources(memory=100 * GIGABYTE),
            "asks for 100 GB of memory; the largest node has 64 GB",
        ),
        (Resources(cpus=32, gpus=1), "asks for 1 GPU and 32 CPUs; no single node has all of it"),
        (Resources(cpus=32), None),
    ],
)
def test_what_can_never_fit_says_what_exists(request_: Resources, sentence: str | None) -> None:
    assert can_ever_fit(request_, [node("a", cpus=32), node("b", cpus=8, gpus=2)]) == sentence


def test_no_gpus_and_no_nodes() -> None:
    assert can_ever_fit(Resources(gpus=1), [node()]) == "asks for 1 GPU; there is none"
    assert can_ever_fit(Resources(), []) == "asks for 1 CPU; there is no node"


def test_a_refusal_says_why_there_are_no_gpus() -> None:
    bare = replace(node(), gpu_trouble="no NVIDIA driver was found")
    assert (
        can_ever_fit(Resources(gpus=1), [bare])
        == "asks for 1 GPU; there is none: no NVIDIA driver was found"
    )
    assert can_ever_fit(Resources(gpus=3), [node(gpus=1)]) == "asks for 3 GPUs; there is 1"
    assert can_ever_fit(Resources(cpus=9), [node()]) == "asks for 9 CPUs; there are 8"


def test_broken_devices_count_for_what_can_ever_fit() -> None:
    whole = node(gpus=2)
    broken = replace(whole, gpus=tuple(replace(gpu, problem="lost") for gpu in whole.gpus))
    assert can_ever_fit(Resources(gpus=2), [broken]) is None
    assert not Free(broken).fits(Demand(gpus=1))


def test_an_inventory_in_words() -> None:
    assert inventory(node()) == "8 CPUs, 64 GB of memory and no GPU"
    assert inventory(node(gpus=1)) == "8 CPUs, 64 GB of memory and 1 GPU (H200)"
    two = node(gpus=2)
    lost = replace(two, gpus=(two.gpus[0], replace(two.gpus[1], problem="lost")))
    assert inventory(lost).endswith("and 1 GPU (H200; 1 more is out of order)")
    troubled = replace(node(), gpu_trouble="no driver")
    assert inventory(troubled).endswith("and no GPU (no driver)")


def test_a_shortage_names_the_node_that_lacks_least() -> None:
    small, large = Free(node("small", gpus=2)), Free(node("large", gpus=4))
    for free in (small, large):
        free.take(next(free.options(Demand(gpus=1000 if free is large else 2000))))
    large.take(next(large.options(Demand(gpus=2000))))
    assert shortage(Demand(gpus=2000), [large]) == "2 GPUs: 1 of 4 is free"
    assert shortage(Demand(gpus=2000), [small, large]) == "2 GPUs: 1 of 4 is free on large"
    assert shortage(Demand(gpus=500), [small]) == "0.5 of a GPU: at most 0 of one is free"
    assert shortage(Demand(cpus=9000), [small]) == "9 CPUs: 8 of 8 are free"


def test_the_dominant_share_is_of_what_a_user_has_most_of() -> None:
    total = Demand(8000, 100, 4000)
    assert dominant_share(Demand(2000, 50, 1000), total) == 500_000_000
    assert dominant_share(Demand(gpus=1000), Demand(1, 1, 0)) > 10**9
