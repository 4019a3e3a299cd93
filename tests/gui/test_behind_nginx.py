"""The pages below a path of nginx's, as the documentation sets it up: they load, and stay live."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.conftest import is_absent
from tests.guarded import PASSWORDS, guarded, with_user
from tests.gui.browser import Visit
from tests.gui.conftest import trained
from tests.hosts import Nginx, documented
from tests.live import LiveServer

pytestmark = pytest.mark.browser


@pytest.fixture
def trusting(pages: None, tmp_path: Path) -> Iterator[LiveServer]:
    """A server that believes what the proxies of its own machine say."""
    server = guarded(tmp_path, trusted_proxies="127.0.0.1", allow_privileges="process")
    with_user(server, "ada", "admin")
    server.token = server.server_command("user", "token", "ada").out.strip()
    with server:
        yield server


@pytest.fixture
def below_a_path(trusting: LiveServer, tmp_path: Path) -> Iterator[str]:
    """The address that nginx shows the server at."""
    if not shutil.which("nginx"):
        is_absent("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers = f"server {{ listen 127.0.0.1:{port}; {documented(trusting.url)} }}"
    with Nginx(tmp_path / "nginx", servers) as nginx:
        nginx.wait_for(port)
        yield f"http://127.0.0.1:{port}/atlas"


def test_pages_and_their_news(browser: Any, trusting: LiveServer, below_a_path: str) -> None:
    visit = Visit(browser, below_a_path)
    logged_in = {"user": "ada", "password": PASSWORDS["ada"], "browser": True}
    answer = visit.context.request.post(below_a_path + "/api/v1/auth/login", data=logged_in)
    assert answer.ok, answer.text()
    first = trained(trusting, project="live", name="first")
    trusting.completed(first)
    page = visit.open("/")
    expect(page).to_have_url(re.compile("/atlas/projects$"))
    page.get_by_role("link", name="live").click()
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    # Nothing is loaded anew: what comes now has come by the live feed.
    second = trained(trusting, project="live", name="second", epochs=2)
    expect(page.get_by_test_id("job-row")).to_have_count(2)
    trusting.completed(second)
    page.get_by_role("link", name="second").click()
    expect(page).to_have_url(re.compile(f"/atlas/jobs/{second}"))
    page.reload()
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    visit.settled()
    visit.picture("behind nginx")
    visit.close()
