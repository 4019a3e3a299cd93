"""One server with real jobs and one browser for the tests of the pages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.conftest import is_present
from tests.live import LiveServer

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is absent")

from tests.gui.browser import ROOT, Visit, launched, visiting  # noqa: E402

DEMO = ROOT / "gui" / "dev" / "demo"


class Demo(NamedTuple):
    """A server, and the jobs that were run on it before the tests."""

    server: LiveServer
    jobs: list[str]
    failed: str

    @property
    def url(self) -> str:
        return str(self.server.facts["gui_url"])


def trained(server: LiveServer, **more: Any) -> str:
    """Submit a training of the demo; keywords go to its parameters."""
    spec = {
        name: more.pop(name)
        for name in ("name", "project", "tags", "resources", "priority")
        if name in more
    }
    params = {"model": "resnet18", "epochs": 4, "seed": 0, **more}
    return server.send(DEMO, "main.py", params=params, **{"project": "vision", **spec})


@pytest.fixture(scope="session")
def pages() -> None:
    """The pages, built from the sources as they are."""
    if not is_present("browser"):
        pytest.skip("browser is absent")
    subprocess.run([sys.executable, str(ROOT / "gui" / "build.py")], check=True, timeout=300)


@pytest.fixture(scope="session")
def demo(pages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A server with eight jobs that are over, one of which failed."""
    with LiveServer(tmp_path_factory.mktemp("gui"), cpus=4) as server:
        jobs = [
            trained(
                server,
                name=f"sweep-{number}",
                seed=number,
                model=("resnet18", "convnext")[number % 2],
                optimizer={"learning_rate": 10 ** -(number % 4 + 1)},
                tags={"baseline": ""} if number < 3 else {},
            )
            for number in range(8)
        ]
        failed = trained(server, name="broken", crash=True, seed=-1)
        for job in jobs:
            server.completed(job)
        assert server.ended(failed)["state"] == "failed"
        yield Demo(server, jobs, failed)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, for all tests of a process."""
    with sync_api.sync_playwright() as playwright:
        found = launched(playwright)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, demo: Demo) -> Iterator[Visit]:
    """A wide, light page at the server with jobs."""
    yield from visiting(browser, demo.url)


@pytest.fixture
def own_server(pages: None, tmp_path: Any) -> Iterator[LiveServer]:
    """A server for one test alone."""
    with LiveServer(tmp_path, cpus=2) as server:
        yield server
