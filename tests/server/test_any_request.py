"""Whatever the description of the API allows, or nearly, is answered: no fault of the server."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.live import LiveServer, make_folder

MAIN = "import foundations; foundations.log_metric('loss', 0.5); print('done')"
# It never ends; and it has no parameters that reach further than a comparison of texts.
ENDLESS = ("/api/v1/feed",)
EXAMPLES = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LiveServer(tmp_path_factory.mktemp("any")) as running:
        folder = make_folder(running.root / "code", main=MAIN)
        for number in range(3):
            running.completed(running.send(folder, "main.py", params={"number": number}))
        yield running
        assert "Traceback" not in running.log(), running.log()[-4000:]


def test_no_request_meets_a_fault(server):
    schema = schemathesis.openapi.from_url(server.url + "/api/v1/openapi.json")
    faults: list[str] = []
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ENDLESS:
            continue
        asked += 1

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            # What names a job names one most of the time: the rest is looked at only then.
            if len(str(case.path_parameters.get("reference", ""))) % 4:
                case.path_parameters["reference"] = "last"
            if case.path_parameters.get("project"):
                case.path_parameters["project"] = "tests"
            answer = case.call(base_url=server.url, timeout=60)
            if answer.status_code >= 500:
                faults.append(f"{case.method} {answer.request.url} {answer.text[:300]}")

        ask()
    assert asked > 60
    assert faults == []
