"""The life of a job: legal moves only, every end reachable, ends for ever."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_server.domain.lifecycle import (
    REASONS,
    RETRIED,
    SOURCES,
    TRANSITIONS,
    IllegalTransition,
    retry_delay,
    should_retry,
    transition,
)
from foundations.contract.states import FINAL_STATES, JobState, StateReason

# A busy machine fails no test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

moves = st.lists(
    st.tuples(st.sampled_from(JobState), st.one_of(st.none(), st.sampled_from(StateReason))),
    max_size=30,
)


@unhurried
@given(moves)
def test_a_walk_takes_legal_moves_only_and_ends_for_ever(
    tried: list[tuple[JobState, StateReason | None]],
) -> None:
    state = JobState.QUEUED
    for new, reason in tried:
        legal = new in TRANSITIONS[state] and reason in REASONS[new]
        if legal:
            assert not state.is_final
            state = transition(state, new, reason)
            assert state is new
        else:
            with pytest.raises(IllegalTransition):
                transition(state, new, reason)


@pytest.mark.parametrize("start", [state for state in JobState if not state.is_final])
def test_every_unfinished_job_can_reach_every_end(start: JobState) -> None:
    reached, fresh = {start}, {start}
    while fresh:
        fresh = {new for state in fresh for new in TRANSITIONS[state]} - reached
        reached |= fresh
    assert reached >= FINAL_STATES


def test_final_states_become_nothing() -> None:
    assert {state for state in JobState if not TRANSITIONS[state]} == FINAL_STATES


def test_sources_mirror_the_table() -> None:
    moves = {(old, new) for old in JobState for new in TRANSITIONS[old]}
    assert moves == {(old, new) for new in JobState for old in SOURCES[new]}


def test_every_reason_has_a_state_and_every_state_a_reason() -> None:
    assert set(StateReason) == {reason for allowed in REASONS.values() for reason in allowed} - {
        None
    }
    assert all(REASONS[state] for state in JobState)


@pytest.mark.parametrize(
    ("current", "new", "reason"),
    [
        (JobState.RUNNING, JobState.COMPLETED, StateReason.NONZERO_EXIT),
        (JobState.RUNNING, JobState.FAILED, None),
        (JobState.RUNNING, JobState.FAILED, StateReason.STOP_REQUESTED),
        (JobState.STOPPING, JobState.STOPPED, StateReason.LOST),
        (JobState.QUEUED, JobState.STOPPED, None),
        (JobState.RUNNING, JobState.QUEUED, StateReason.REQUIREMENTS_FAILED),
        (JobState.QUEUED, JobState.RUNNING, None),
    ],
)
def test_reasons_that_do_not_belong_are_refused(
    current: JobState, new: JobState, reason: StateReason | None
) -> None:
    with pytest.raises(IllegalTransition, match=f"a {current.value} job cannot become"):
        transition(current, new, reason)


@unhurried
@given(st.integers(0, 20), st.sampled_from(sorted(RETRIED)))
def test_a_job_has_one_attempt_more_than_retries(retries: int, reason: StateReason) -> None:
    attempts = 1
    while should_retry(reason, attempts, retries):
        attempts += 1
    assert attempts == retries + 1


@pytest.mark.parametrize(
    "reason", [StateReason.STOP_REQUESTED, StateReason.REQUIREMENTS_FAILED, None]
)
def test_what_would_fail_again_or_was_wanted_is_not_retried(reason: StateReason | None) -> None:
    assert not should_retry(reason, 1, 5)


def test_retries_back_off() -> None:
    assert [retry_delay(attempt) for attempt in range(1, 12)] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300,
    ]  # fmt: skip
    assert retry_delay(10**9) == 300
