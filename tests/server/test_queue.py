"""The waiting queue against the plain list that it stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_server.domain.queue import Standing, Waiting, WaitQueue
from atlas_server.domain.resources import Demand, demand_of, dominant_share
from foundations.contract.spec import Resources

# A busy machine fails no test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TOTAL = Demand(16_000, 64, 4_000)

waiting_jobs = st.lists(
    st.tuples(
        st.sampled_from("uvw"),
        st.integers(0, 2),
        st.sampled_from([Resources(1), Resources(2, 8), Resources(1, None, 0.5)]),
        st.sampled_from([None, 10.0]),
        st.sampled_from([None, None, None, 5.0, 50.0]),
    ),
    max_size=40,
).flatmap(
    lambda rows: st.permutations(range(len(rows))).map(
        lambda arrivals: [
            Waiting(f"job{index}", user, priority, arrival, resources, 0.0, not_before, timeout)
            for index, ((user, priority, resources, timeout, not_before), arrival) in enumerate(
                zip(rows, arrivals, strict=True)
            )
        ]
    )
)
standings = st.dictionaries(
    st.sampled_from("uvw"), st.builds(Demand, st.integers(0, 8_000), st.integers(0, 64))
).map(lambda usage: Standing(TOTAL, usage))


def naive_order(jobs: list[Waiting], standing: Standing) -> list[Waiting]:
    """The rule word for word: of all that wait, the best; then of the rest; and so on."""
    usage, left, order = dict(standing.usage), list(jobs), []
    while left:
        best = min(
            left,
            key=lambda job: (
                -job.priority,
                dominant_share(usage.get(job.user, Demand()), standing.total),
                job.arrival,
            ),
        )
        left.remove(best)
        order.append(best)
        held = usage.get(best.user, Demand())
        usage[best.user] = held.plus(demand_of(best.resources))
    return order


@unhurried
@given(waiting_jobs, standings, st.data())
def test_the_queue_equals_a_sorted_list(
    jobs: list[Waiting], standing: Standing, data: st.DataObject
) -> None:
    queue = WaitQueue()
    for job in jobs:
        queue.add(job)
    gone = data.draw(st.sets(st.sampled_from(jobs))) if jobs else set()
    for job in gone:
        assert queue.remove(job.job_id) == job
    queue.release_due(10.0)
    left = [job for job in jobs if job not in gone]
    ready = [job for job in left if job.not_before is None or job.not_before <= 10.0]
    aside = [job for job in left if job not in ready]

    order = naive_order(ready, standing)
    assert list(queue.ranked(standing)) == order
    assert list(queue.ranked(standing, 3)) == order[:3]
    assert [queue.position(job.job_id, standing) for job in order] == list(range(len(order)))
    assert queue.delayed() == sorted(aside, key=lambda job: (job.not_before or 0.0, job.arrival))
    assert queue.next_due() == min((job.not_before or 0.0 for job in aside), default=None)
    assert len(queue) == len(left)
    assert all((job.job_id in queue) == (job in left) for job in jobs)
    for job in left:
        assert queue.get(job.job_id) == job
        alike = [
            other
            for other in ready
            if (other.user, other.priority, other.resources, other.timeout)
            == (job.user, job.priority, job.resources, job.timeout)
            and other.arrival < job.arrival
        ]
        expected = max(alike, key=lambda other: other.arrival).job_id if alike else None
        assert queue.alike_ahead(job.job_id) == (None if job in aside else expected)
    for job in left:
        queue.remove(job.job_id)
    assert len(queue) == 0
    assert list(queue.ranked(standing)) == []
    assert queue.next_due() is None


def test_two_users_take_turns() -> None:
    queue = WaitQueue()
    for index in range(4):
        queue.add(Waiting(f"u{index}", "u", 0, index, Resources(), 0.0))
    for index in range(2):
        queue.add(Waiting(f"v{index}", "v", 0, 10 + index, Resources(), 0.0))
    order = [job.job_id for job in queue.ranked(Standing(TOTAL, {}))]
    assert order == ["u0", "v0", "u1", "v1", "u2", "u3"]


def test_a_job_delayed_again_waits_for_its_new_time() -> None:
    queue = WaitQueue()
    job = Waiting("a", "u", 0, 0, Resources(), 0.0, not_before=5.0)
    queue.add(job)
    queue.remove("a")
    queue.add(replace(job, not_before=20.0))
    queue.release_due(10.0)
    assert queue.next_due() == 20.0
    assert queue.is_delayed("a")
    assert queue.position("a", Standing(TOTAL, {})) is None
    queue.release_due(20.0)
    assert queue.next_due() is None
    assert queue.position("a", Standing(TOTAL, {})) == 0


def test_unknown_and_doubled_jobs_are_refused() -> None:
    queue = WaitQueue()
    queue.add(Waiting("a", "u", 0, 0, Resources(), 0.0))
    with pytest.raises(ValueError, match="already waiting"):
        queue.add(Waiting("a", "u", 0, 1, Resources(), 0.0))
    for read in (queue.get, queue.remove, queue.alike_ahead):
        with pytest.raises(KeyError):
            read("b")
    with pytest.raises(KeyError):
        queue.position("b", Standing(TOTAL, {}))
