"""A server as its operator sees it: health, figures, log."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.live import LiveServer, make_folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, settings={"log_format": "json"}) as server:
        yield server


def get(server: LiveServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.url + path, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_figures_and_log(server: LiveServer, tmp_path: Path) -> None:
    assert get(server, "/healthz") == (200, "ok\n")
    status, body = get(server, "/readyz")
    checks = {"database": "ok", "disk": "ok", "scheduler": "ok"}
    assert (status, json.loads(body)) == (200, {"ready": True, "checks": checks})

    folder = make_folder(
        tmp_path / "secret_project", main="print(1)\n", bad="raise SystemExit(3)\n"
    )
    server.completed(server.send(folder, "main.py", project="secret_project"))
    server.ended(server.send(folder, "bad.py", project="secret_project"))
    server.api().job("last")

    def figures() -> dict[tuple[str, ...], float] | None:
        text = get(server, "/metrics")[1]
        assert "secret_project" not in text
        found = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return found if ("atlas_blob_bytes",) in found else None

    server.wait_for(
        lambda: (figures() or {}).get(("atlas_queue_wait_seconds_count",)) == 2, "waits"
    )
    server.wait_for(
        lambda: (figures() or {}).get(("atlas_attempts_total", "failed", "nonzero_exit")) == 1,
        "the failed attempt",
    )
    found = figures() or {}
    assert found["atlas_jobs", "completed"] == 1
    assert found["atlas_attempts_total", "", "completed"] == 1
    assert found["atlas_cpus_total",] == 2
    assert found["atlas_cpus_used",] == 0
    assert found["atlas_blob_bytes",] >= 0
    assert found["atlas_scheduler_step_seconds_count",] > 0
    route = "/jobs/{reference}"
    assert found["atlas_request_seconds_count", *sorted(("GET", route, "2xx"))] > 0

    with urllib.request.urlopen(server.url + "/api/v1/health", timeout=30) as answer:
        assert answer.headers["X-Request-Id"]
    server.kill()
    server.restart()
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)


def test_a_server_that_cannot_write_is_not_ready(tmp_path: Path) -> None:
    from atlas_server.services.health import Health
    from atlas_server.store.engine import Store

    class Stuck:
        def last_look(self) -> float | None:
            return None

    store = Store(tmp_path / "atlas.db")
    health = Health(store, tmp_path / "missing", Stuck())
    found = health.problems()
    store.close()
    assert found["database"] is None
    assert "cannot be looked at" in str(found["disk"])
    assert found["scheduler"] == "the scheduler has ended"
