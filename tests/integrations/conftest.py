"""A job for frameworks to record in. A framework that is not installed skips its tests."""

from __future__ import annotations

import pytest
from tests.sdk.conftest import Job
from tests.sdk.conftest import job as job  # noqa: PLC0414 - the fixture is used by its name


@pytest.fixture
def points(job: Job):
    """Return the recorded values of a metric as (step, value) pairs."""

    def of(name: str) -> list[tuple[float | None, float]]:
        found = [event for event in job.events("metric") if event["key"] == name]
        return [(event["step"], event["value"]) for event in found]

    return of
