"""Each page: it loads, fits, satisfies axe, asks nobody else; its picture is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.gui.browser import Visit
from tests.gui.conftest import Demo

pytestmark = pytest.mark.browser

PAGES: dict[str, Callable[[Demo], str]] = {
    "projects": lambda demo: "/projects",
    "jobs": lambda demo: "/projects/vision/jobs",
    "parallel": lambda demo: "/projects/vision/jobs?panel=parallel",
    "scatter": lambda demo: "/projects/vision/jobs?panel=scatter",
    "time": lambda demo: "/projects/vision/jobs?panel=time",
    "curves": lambda demo: "/projects/vision/jobs?panel=curves",
    "groups": lambda demo: "/projects/vision/jobs?panel=groups",
    "nothing found": lambda demo: "/projects/vision/jobs?q=metrics.loss%20%3C%20-1",
    "project overview": lambda demo: '/projects/vision/overview?metrics=["loss","accuracy"]',
    "job": lambda demo: f"/jobs/{demo.jobs[0]}",
    "failed job": lambda demo: f"/jobs/{demo.failed}",
    "metrics": lambda demo: f"/jobs/{demo.jobs[0]}?tab=metrics",
    "logs": lambda demo: f"/jobs/{demo.failed}?tab=logs",
    "artifacts": lambda demo: f"/jobs/{demo.jobs[0]}?tab=artifacts&show=samples",
    "code": lambda demo: f"/jobs/{demo.jobs[0]}?tab=code",
    "queue": lambda demo: "/queue",
    "nodes": lambda demo: "/nodes",
    "compare": lambda demo: "/compare?jobs=" + ",".join(demo.jobs[:3]),
    "no such page": lambda demo: "/nowhere",
    "no such project": lambda demo: "/projects/nowhere/jobs",
}


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, browser: Any, demo: Demo) -> None:
    visit = Visit(browser, demo.url)
    visit.open(PAGES[name](demo))
    visit.looks_right(name)
    if name.startswith("no such"):
        visit.trouble = [text for text in visit.trouble if "404" not in text]
    visit.close()
