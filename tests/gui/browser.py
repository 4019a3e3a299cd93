"""A browser at the pages of a real server, which must neither complain nor ask anybody else."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Route,
    expect,
)

ROOT = Path(__file__).parents[2]
AXE = ROOT / "gui" / "node_modules" / "axe-core" / "axe.min.js"
# Where CI collects files; looked at by people.
PICTURES = Path(os.environ.get("ATLAS_PICTURES") or ROOT / "build" / "screenshots")

WIDE, PHONE = (1440, 900), (390, 844)
PATIENCE = 15_000  # milliseconds

_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
]  # fmt: skip


def launched(playwright: Playwright) -> Browser:
    """Start Debian's Chromium."""
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    return playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)


class Visit:
    """One page, and what its browser complained of."""

    def __init__(
        self, browser: Browser, url: str, *, dark: bool = False, size: tuple[int, int] = WIDE
    ) -> None:
        self.url = url
        self.trouble: list[str] = []
        self.context: BrowserContext = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            has_touch=size == PHONE,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        # Chromium drops all its connections when an interface of the machine changes, as containers
        # of other tests make them do; the driver's own do not mind.
        self.context.route("**/*", _answered)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "ERR_NETWORK_CHANGED" not in message.text:
            self.trouble.append(message.text)

    def _asked(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.trouble.append(f"asked {address}")

    def open(self, path: str) -> Page:
        """Load a page and wait until it has what it shows."""
        self.page.goto(self.url + path)
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until a page stands and nothing of it is on its way."""
        self.page.locator("#main").wait_for()
        loading = self.page.locator("[aria-hidden][class*=skeleton]")
        expect(loading).to_have_count(0, timeout=PATIENCE)

    def fits(self) -> bool:
        """Whether nothing stands beyond the right edge."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))

    def violations(self, *rules: str) -> list[str]:
        """What axe finds wrong by WCAG 2.2 AA, or by these rules alone."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = self.page.evaluate(
            "what => axe.run(document, {runOnly: what, resultTypes: ['violations']})",
            list(rules or _WCAG),
        )
        return [
            f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for rule in found["violations"]
            for node in rule["nodes"][:3]
        ]

    def looks_right(self, name: str) -> None:
        """It fits and satisfies axe on a phone, dark, and light; pictures of it are kept."""
        device = self.context.new_cdp_session(self.page)
        for look, (width, height) in {"phone": PHONE, "dark": WIDE, "light": WIDE}.items():
            self.page.emulate_media(color_scheme="dark" if look == "dark" else "light")
            self.page.set_viewport_size({"width": width, "height": height})
            device.send("Emulation.setTouchEmulationEnabled", {"enabled": look == "phone"})
            self.settled()
            self.picture(f"{name}-{look}")
            assert self.fits(), f"{look}: something stands beyond the right edge"
            # Nothing but the colours is other in the dark.
            rules = ["color-contrast"] if look == "dark" else []
            assert self.violations(*rules) == [], look

    def picture(self, name: str) -> None:
        """Keep a screenshot for people to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png")

    def close(self) -> None:
        """Close it; it must have had nothing to complain of."""
        self.context.close()
        assert not self.trouble, self.trouble


def _answered(route: Route) -> None:
    if re.search(r"/(feed|stream|export|archive)\b|download=", route.request.url):
        route.continue_()  # streams that never end, and files for the disk
        return
    try:
        answer = route.fetch()
    except Error:
        answer = None
    with contextlib.suppress(Error):  # the page may have gone meanwhile
        route.fulfill(response=answer) if answer else route.abort()


def visiting(browser: Browser, url: str, **look: Any) -> Iterator[Visit]:
    """A visit that is closed, and only then judged, when its test is over."""
    visit = Visit(browser, url, **look)
    yield visit
    visit.close()
