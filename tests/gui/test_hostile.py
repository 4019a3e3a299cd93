"""Nothing that a job says or keeps becomes part of the page."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect
from tests.gui.browser import Visit
from tests.gui.conftest import Demo

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror='window.hurt=1'><script>window.hurt=1</script>"
# Names of projects may not have a slash.
PROJECT = "<img src=x onerror='window.hurt=1'>"
SCRIPT = f"""
import foundations
text = {MARKUP!r}
print(text)
print("\\033]0;" + text + "\\007\\033[31m" + text)
foundations.set_tag(text, text)
foundations.log_param(text, text)
foundations.log_metric(text, 1)
foundations.log_metric("constructor", 1)
foundations.log_metric("__proto__", 2)
open("page.html", "w").write("<h1>Mine</h1><script>document.title='ran';"
    "try {{ parent.document.body.innerHTML = 'taken' }} catch (e) {{}}"
    "fetch('/api/v1/server').then(() => document.title='asked', () => 0)</script>")
open("picture.svg", "w").write("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>"
    "<script>window.hurt=1</script><circle r='5'/></svg>")
open("table.csv", "w").write(text + ",b\\n=1+1," + text + "\\n")
open("notes.md", "w").write("# Notes\\n" + text + "\\n[x](javascript:window.hurt=1)\\n![o](http://127.0.0.1:9/o.png)")
for name in ("page.html", "picture.svg", "table.csv", "notes.md"):
    foundations.save_artifact(name, name)
"""


def test_hostile_job_is_only_text(visit: Visit, demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SCRIPT)
    job = demo.server.send(tmp_path, "main.py", project=PROJECT, name=MARKUP, tags={MARKUP: MARKUP})
    demo.server.completed(job)
    page = visit.open("/projects")
    expect(page.get_by_role("link", name=PROJECT)).to_be_visible()
    page.get_by_role("link", name=PROJECT).click()
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    page.get_by_role("button", name="Time", exact=True).click()
    visit.settled()
    page.get_by_role("link", name="Overview").click()
    visit.settled()
    assert page.evaluate("window.hurt") is None
    visit.open(f"/compare?jobs={job},{demo.jobs[0]}")
    page.get_by_role("table").get_by_role("link", name=MARKUP).click()
    for tab in ("Metrics", "Logs", "Code", "Artifacts"):
        page.get_by_role("navigation", name="Job").get_by_role("link", name=tab).click()
        visit.settled()
    files = page.get_by_role("list", name="Artifacts")
    files.get_by_role("button", name="picture.svg").click()
    expect(page.get_by_role("img", name="picture.svg")).to_be_visible()
    files.get_by_role("button", name="table.csv").click()
    expect(page.get_by_role("cell", name="=1+1")).to_be_visible()
    files.get_by_role("button", name="notes.md").click()
    expect(page.get_by_role("heading", name="Notes", exact=True)).to_be_visible()
    files.get_by_role("button", name="page.html").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Mine")).to_be_visible()
    assert page.evaluate("window.hurt") is None
    assert page.title() != "asked"
    expect(files).to_be_visible()
    # The sandbox and the policy say in the console what they held back.
    held_back = ("Content Security Policy", "sandbox", "Blocked a frame", "127.0.0.1:9")
    visit.trouble = [text for text in visit.trouble if not any(word in text for word in held_back)]


def test_policy_allows_nothing_from_elsewhere(demo: Demo) -> None:
    with urlopen(demo.url + "/projects") as answer:
        policy = answer.headers["Content-Security-Policy"]
        document = answer.read().decode()
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "<style" not in document
    assert "http://" not in document
    assert "https://" not in document


def test_files_outside_the_pages_are_not_served(demo: Demo) -> None:
    for path in ("/..%2f..%2fpyproject.toml", "/assets/..%2f..%2fserve.py", "/%2e%2e/serve.py"):
        try:
            with urlopen(demo.url + path) as answer:
                body = answer.read().decode(errors="replace")
        except OSError:
            continue
        assert "<!doctype html>" in body.lower(), path


def test_scripts_are_sent_compressed_to_those_who_take_it(demo: Demo) -> None:
    with urlopen(demo.url + "/projects") as answer:
        [script] = re.findall(r'src="([^"]*/index-[^"]*.js)"', answer.read().decode())
    with urlopen(demo.url + script) as answer:
        plain = answer.read()
    with urlopen(Request(demo.url + script, headers={"Accept-Encoding": "br, gzip"})) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "javascript" in answer.headers["Content-Type"]
        packed = answer.read()
    assert len(packed) < len(plain) / 2
    assert gzip.decompress(packed) == plain


def test_answers_of_the_api_are_not_pages(demo: Demo) -> None:
    try:
        urlopen(demo.url + "/api/v1/nowhere")
    except OSError as error:
        told = json.loads(error.read())  # type: ignore[attr-defined]
        assert told["error"]["code"] == "not_found"
    else:
        raise AssertionError("answered")
