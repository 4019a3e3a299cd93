"""Searches: listed, seen while they go on, extended, and as jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.gui.browser import PHONE, Visit
from tests.gui.conftest import Demo

from foundations.sending import new_job_id

pytestmark = pytest.mark.browser

SCRIPT = """
import foundations
params = foundations.load_parameters()
for step in range(3):
    foundations.log_metric("loss", params["rate"] + params["depth"] / (step + 1), step=step)
"""


def test_search_is_followed_and_extended(
    browser: Any, visit: Visit, demo: Demo, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(SCRIPT)
    page = visit.open("/projects/vision/searches")
    expect(page.get_by_text("foundations search start space.yaml")).to_be_visible()
    sent = demo.server.send(tmp_path, "main.py", project="tuning")  # for its content
    spec = {
        "project": "tuning",
        "bundle": demo.server.ended(sent)["bundle"],
        "command": ["main.py"],
        "interpreter": sys.executable,
        "user": "tester",
        "resources": {"cpus": 1},
    }
    wanted = {
        "metric": "loss",
        "goal": "min",
        "parameters": {"rate": {"min": 0.1, "max": 0.9}, "depth": {"min": 1, "max": 5}},
        "sampler": {"name": "random", "seed": 1},
        "budget": {"trials": 3},
    }
    demo.server.api().start_search(
        {"spec": spec, "search_id": new_job_id(), "search": wanted, "name": "tuned"}
    )
    visit.open("/projects/tuning/searches")
    page.get_by_role("link", name="tuned").click()
    expect(page.get_by_text("3 completed", exact=True)).to_be_visible()
    expect(page.get_by_text("foundations rerun")).to_be_visible()
    expect(page.get_by_role("img", name="loss of 3 jobs over time")).to_be_visible()
    expect(page.get_by_role("img", name="3 jobs over rate, depth, loss")).to_be_visible()
    page.get_by_role("button", name="Extend").click()
    page.get_by_label("More trials").fill("2")
    page.get_by_role("button", name="Extend the search").click()
    expect(page.get_by_text("5 completed", exact=True)).to_be_visible()
    expect(page.get_by_test_id("trial")).to_have_count(5)
    visit.picture("search-light")
    assert visit.violations() == []
    page.get_by_role("link", name="All in the table of jobs").click()
    expect(page.get_by_test_id("job-row")).to_have_count(5)
    phone = Visit(browser, demo.url, size=PHONE, dark=True)
    phone.open("/searches/tuned")
    phone.picture("search-phone")
    assert phone.fits()
    assert phone.violations() == []
    phone.close()
