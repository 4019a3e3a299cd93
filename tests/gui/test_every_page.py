"""Each page: it loads, fits, satisfies axe, asks nobody else; its picture is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.gui.browser import PHONE, WIDE, Visit
from tests.gui.conftest import Demo

pytestmark = pytest.mark.browser

PAGES: dict[str, Callable[[Demo], str]] = {
    "projects": lambda demo: "/projects",
    "jobs": lambda demo: "/projects/vision/jobs",
    "parallel": lambda demo: "/projects/vision/jobs?panel=parallel",
    "scatter": lambda demo: "/projects/vision/jobs?panel=scatter",
    "curves": lambda demo: "/projects/vision/jobs?panel=curves",
    "groups": lambda demo: "/projects/vision/jobs?panel=groups",
    "nothing found": lambda demo: "/projects/vision/jobs?q=metrics.loss%20%3C%20-1",
    "project overview": lambda demo: "/projects/vision/overview",
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
LOOKS = {"light": (WIDE, False), "dark": (WIDE, True), "phone": (PHONE, False)}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, look: str, browser: Any, demo: Demo) -> None:
    size, dark = LOOKS[look]
    visit = Visit(browser, demo.url, size=size, dark=dark)
    visit.open(PAGES[name](demo))
    visit.picture(f"{name}-{look}")
    assert visit.fits(), "something stands beyond the right edge"
    assert visit.violations() == []
    if name.startswith("no such"):
        visit.trouble = [text for text in visit.trouble if "404" not in text]
    visit.close()
