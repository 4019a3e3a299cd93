"""The web pages over 100,000 jobs with 20 parameters and 10 metrics, in Chromium.

    python bench/pages.py [--jobs N] [--points N] [--rounds N] [--keep FOLDER]

Needs Chromium and the package playwright. The database is that of `job_tables.py`, with `--keep`
made once for both. A first visit has an empty cache. Moments are taken in the page: rows count
when they are on the screen, not when they have arrived.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from job_tables import database_of, job_ids
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from side_by_side import BARE, Server, Table, temporary_folder, timed

from foundations.client.api import Api

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
_SIZE = {"width": 1440, "height": 900}
_COLUMNS = [f"metrics.metric_{n}" for n in (0, 1, 2, 4, 5, 6)] + [
    f"params.rate_{n}" for n in range(6)
]
_TABLE = f"/projects/large/jobs?cols={json.dumps(['status', *_COLUMNS])}"
_CURVE = "/jobs/{}?tab=metrics"

# When the table has its rows, with their values; when the curve has been drawn.
_WATCH = """
(() => {
  const values = (row) => [...row.querySelectorAll('[role=gridcell]')].filter(
    (cell) => cell.textContent && cell.textContent !== '–').length;
  const moments = { table: () => {
      const grid = document.querySelector('[role=grid]');
      const row = grid?.querySelector('[data-testid=job-row]');
      return row && grid.getAttribute('aria-busy') === 'false' && values(row) >= 10;
    }, curve: () => document.querySelector('.uplot canvas')?.width > 0 };
  window.met = Object.fromEntries(Object.entries(moments).map(([name, met]) => [name,
    new Promise((resolve) => {
      const look = () => document.body && met()
        ? resolve(performance.now()) : requestAnimationFrame(look);
      requestAnimationFrame(look);
    })]));
})()
"""
# From the last thing that the hand does until other rows are on the screen.
_CHANGED = """
([event, seen]) => new Promise((resolve) => {
  const now = {
    rows: () => document.querySelector('[data-testid=job-row] a')?.href,
    total: () => document.querySelector('[class*=found]')?.textContent }[seen];
  const before = now();
  let begun;
  document.addEventListener(event, () => { begun = performance.now(); }, true);
  const look = () => {
    const grid = document.querySelector('[role=grid]');
    const settled = grid && grid.getAttribute('aria-busy') === 'false';
    if (begun !== undefined && settled && now() !== before) resolve(performance.now() - begun);
    else requestAnimationFrame(look);
  };
  look();
})
"""
# As a hand on a wheel: 60 pixels a frame.
_SCROLL = """
() => new Promise((resolve) => {
  const box = document.querySelector('[data-testid=jobs-scroll]');
  const frames = [];
  let last;
  const step = (now) => {
    if (last !== undefined) frames.push(now - last);
    last = now;
    box.scrollTop += 60;
    if (frames.length < 150) requestAnimationFrame(step); else resolve(frames);
  };
  requestAnimationFrame(step);
})
"""
_PAINT = """() => new Promise((resolve) => new PerformanceObserver((list) => {
  for (const entry of list.getEntriesByName('first-contentful-paint')) resolve(entry.startTime);
}).observe({ type: 'paint', buffered: true }))"""
_SENT = """() => performance.getEntriesByType('resource').concat(
  performance.getEntriesByType('navigation')).reduce((sum, e) => sum + e.encodedBodySize, 0)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="a folder for the database")
    options = parser.parse_args()
    with temporary_folder() as scratch:
        home = scratch / "home"
        database_of(home, options.jobs, options.points, options.keep)
        server = Server(home)
        try:
            table = Table(statistics.median(timed(BARE, server.env) for _ in range(5)))
            bundle(table)
            server.start()
            [curve] = job_ids(Api(str(server.state["url"])), "curve")
            with chromium() as browser:
                Pages(browser, str(server.state["gui_url"]), table, options.rounds).measure(curve)
        finally:
            server.end_everything()


def bundle(table: Table) -> None:
    """What all scripts and styles together take on the wire."""
    server = find_spec("atlas_server")
    assert server is not None and server.origin is not None
    files = Path(server.origin).with_name("gui_dist").glob("assets/*.[cj]s*")
    size = sum(len(gzip.compress(path.read_bytes())) for path in files if path.suffix != ".gz")
    table.figure("scripts and styles of all pages, gzipped", f"{size / 1e3:.0f} kB", "1000 kB")


@contextmanager
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


class Pages:
    """What is measured, in a browser."""

    def __init__(self, browser: Browser, url: str, table: Table, rounds: int) -> None:
        self._browser = browser
        self._url = url
        self._table = table
        self._rounds = rounds

    def measure(self, curve: str) -> None:
        self._visits(_TABLE, "table", "the table, filled", "1000 ms")
        self._visits(_CURVE.format(curve), "curve", "1,000,000 points, drawn", "500 ms")
        with self._context() as context:
            page = context.new_page()
            page.goto(self._url + _TABLE)
            page.evaluate("() => window.met.table")
            self._sorts(page)
            self._filters(page)
            self._scrolls(page)

    @contextmanager
    def _context(self) -> Iterator[BrowserContext]:
        context = self._browser.new_context(viewport=_SIZE, reduced_motion="reduce")
        context.add_init_script(_WATCH)
        yield context
        context.close()

    def _visits(self, path: str, moment: str, name: str, target: str) -> None:
        """Print how long a page's first visit takes until that moment, and one that comes back."""
        times: dict[str, list[float]] = {}
        sent = 0.0
        for _ in range(self._rounds + 1):
            with self._context() as context:
                page = context.new_page()
                for visit in ("first visit", "again"):
                    page.goto("about:blank")
                    page.goto(self._url + path, wait_until="commit")
                    met = page.evaluate(f"() => window.met.{moment}") / 1e3
                    paint = page.evaluate(_PAINT) / 1e3
                    times.setdefault(f"{visit}: first paint", []).append(paint)
                    times.setdefault(f"{visit}: {name}", []).append(met)
                    sent = sent or page.evaluate(_SENT)
        for what, seconds in times.items():
            self._table.times(what, seconds[1:], "1000 ms" if "paint" in what else target)
        self._table.figure("first visit: bytes until then", f"{sent / 1e3:.0f} kB")

    def _sorts(self, page: Page) -> None:
        def click(number: int) -> None:
            name = _COLUMNS[number % len(_COLUMNS)].partition(".")[2]
            page.get_by_role("columnheader").get_by_role("button", name=name, exact=True).click()

        self._changes("a click sorts, rows replaced", page, "click", "rows", click)

    def _filters(self, page: Page) -> None:
        box = page.get_by_role("combobox")

        def type_in(number: int) -> None:
            box.fill(f"metrics.loss < 0.{number + 11}")

        self._changes("a filter is typed, rows replaced", page, "input", "total", type_in)
        box.fill("")

    def _changes(
        self, name: str, page: Page, event: str, seen: str, act: Callable[[int], None]
    ) -> None:
        times: list[float] = []
        for number in range(self._rounds + 1):
            # Both at once: the page watches while the hand moves.
            page.evaluate(f"window.change = ({_CHANGED})({json.dumps([event, seen])}); 0")
            act(number)
            times.append(page.evaluate("() => window.change") / 1e3)
        self._table.times(name, times[1:])

    def _scrolls(self, page: Page) -> None:
        page.wait_for_timeout(500)
        frames: list[float] = []
        for _ in range(self._rounds):
            frames += [frame / 1e3 for frame in page.evaluate(_SCROLL)]
        self._table.times("a frame while scrolling", frames, "17 ms")
        late = statistics.quantiles(frames, n=20)[-1]
        self._table.figure("the same, 95th percentile", f"{late * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
