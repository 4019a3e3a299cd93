"""Searches: listed, seen while they go on, extended, and as jobs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.gui.browser import Visit
from tests.gui.conftest import Demo

from foundations.sending import new_job_id

pytestmark = pytest.mark.browser

SCRIPT = """
import foundations
params = foundations.load_parameters()
for step in range(3):
    foundations.log_metric("loss", params["rate"] + params["depth"] / (step + 1), step=step)
"""


def stop_and_resume(visit: Visit) -> None:
    """Of a search that has five trials and many more to go."""
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    page = visit.open("/searches/tuned")
    page.get_by_role("button", name="Extend").click()
    page.get_by_label("More trials").fill("500")
    page.get_by_role("button", name="Extend the search").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop the search").click()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop the search").click()
    page.get_by_role("button", name="Resume").wait_for()
    # Trials that are over are not read again.
    read = [address for address in asked if "/tuned/trials" in address]
    assert "after" not in read[0]
    assert all("after=" in address for address in read[1:]), read


def test_search_is_followed_and_extended(visit: Visit, demo: Demo, tmp_path: Path) -> None:
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
    visit.looks_right("search")
    page.locator("[data-axis='p:rate']").scroll_into_view_if_needed()
    axis = page.locator("[data-axis='p:rate']").bounding_box()
    assert axis is not None
    page.mouse.move(axis["x"] + 14, axis["y"] + 2)
    page.mouse.down()
    page.mouse.move(axis["x"] + 14, axis["y"] + axis["height"] * 0.3, steps=4)
    page.mouse.up()
    expect(page.get_by_text("chosen in the plot")).to_be_visible()
    expect(page.get_by_test_id("trial")).not_to_have_count(5)
    page.get_by_role("link", name="All in the table of jobs").click()
    expect(page.get_by_test_id("job-row")).to_have_count(5)
    visit.open("/projects/tuning/searches")
    visit.looks_right("searches")
    stop_and_resume(visit)
