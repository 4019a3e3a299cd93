"""A job's page: live log and curves, files, notes and tags, and what can be done with it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.gui.browser import Visit
from tests.gui.conftest import Demo, trained

pytestmark = pytest.mark.browser


def log_text(page: Page) -> str:
    return page.get_by_test_id("log").inner_text()


def test_log_follows_while_the_job_runs(visit: Visit, demo: Demo) -> None:
    job = trained(demo.server, project="busy", name="slow", epochs=400, pause=0.05)
    demo.server.has_logged(job, b"epoch   2/400")
    page = visit.open(f"/jobs/{job}?tab=logs")
    expect(page.get_by_test_id("log")).to_contain_text("epoch  30/400")
    page.get_by_role("button", name="To the beginning").click()
    expect(page.get_by_test_id("log")).to_contain_text("Training resnet18")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.locator("[data-state=stopped]").first).to_be_visible()
    demo.server.ended(job)


def test_log_of_a_million_lines_is_searched(visit: Visit, demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "for start in range(0, 1_000_000, 1000):\n"
        "    print('\\n'.join(f'line {n}' for n in range(start, start + 1000)))\n"
    )
    job = demo.server.send(tmp_path, "main.py", project="logs")
    demo.server.completed(job)
    page = visit.open(f"/jobs/{job}?tab=logs")
    expect(page.get_by_test_id("log")).to_contain_text("line 999999")
    box = page.get_by_role("searchbox", name="Search the log")
    box.fill("line 654321")
    box.press("Enter")
    expect(page.get_by_text("1 of 1", exact=True)).to_be_visible()
    expect(page.get_by_test_id("log").locator("mark")).to_have_text(["line 654321"])


def test_colours_of_a_terminal_are_shown(visit: Visit, demo: Demo) -> None:
    page = visit.open(f"/jobs/{demo.jobs[0]}?tab=logs")
    coloured = page.get_by_test_id("log").locator("span[class*=green]").first
    expect(coloured).to_contain_text("loss")
    assert "\x1b" not in log_text(page)


def test_curves_grow(visit: Visit, demo: Demo) -> None:
    job = trained(demo.server, project="busy", name="growing", epochs=400, pause=0.05)
    demo.server.has_logged(job, b"epoch   2/400")
    page = visit.open(f"/jobs/{job}?tab=metrics")
    chart = page.get_by_role("region", name="train/loss").get_by_role("img")
    before = chart.get_attribute("aria-label")
    assert before is not None
    expect(chart).not_to_have_attribute("aria-label", before)
    page.get_by_role("link", name="System").click()
    used = page.get_by_role("region", name="Memory, MB")
    expect(used.get_by_role("img")).to_be_visible()
    visit.looks_right("system")
    demo.server.api().stop(job)
    demo.server.ended(job)


def test_tensorboard_opens_beside_the_page(visit: Visit, demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import foundations\n"
        "from tensorboard.summary.writer.event_file_writer import EventFileWriter\n"
        "foundations.set_tensorboard_logdir('runs')\n"
        "EventFileWriter('runs').close()\n"
    )
    job = demo.server.send(tmp_path, "main.py", project="board")
    demo.server.completed(job)
    page = visit.open(f"/jobs/{job}")
    page.get_by_role("button", name="More", exact=True).click()
    with page.expect_popup() as opened:
        page.get_by_role("menuitem", name="Open in TensorBoard").click()
    expect(opened.value).to_have_url(re.compile(f"^{demo.url}/tensorboard/"), timeout=60_000)
    expect(opened.value).to_have_title("TensorBoard")


def test_artifacts_of_each_kind_are_shown(visit: Visit, demo: Demo) -> None:
    page = visit.open(f"/jobs/{demo.jobs[0]}?tab=artifacts")
    shown = page.get_by_role("list", name="Artifacts")
    shown.get_by_role("button", name="samples").click()
    picture = page.get_by_role("img", name="samples.png")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 192
    steps = page.get_by_role("group", name="Versions").get_by_role("button")
    expect(steps).to_have_text(["step 0", "step 1", "step 2", "step 3"])
    steps.nth(1).click()
    expect(steps.nth(1)).to_have_attribute("aria-current", "true")
    shown.get_by_role("button", name="predictions").click()
    expect(page.get_by_role("columnheader", name="confidence")).to_be_visible()
    shown.get_by_role("button", name="notes").click()
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    shown.get_by_role("button", name="summary").click()
    expect(page.get_by_text('"best_loss"')).to_be_visible()
    shown.get_by_role("button", name="report").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Evaluation")).to_be_visible()
    shown.get_by_role("button", name="sample", exact=False).first.click()
    shown.get_by_role("button", name="model").click()
    expect(page.get_by_role("link", name="Download").first).to_be_visible()


def test_code_is_shown_and_compared(visit: Visit, demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('the first')\n")
    first = demo.server.send(tmp_path, "main.py", project="code", name="first")
    other = tmp_path / "changed"
    other.mkdir()
    (other / "main.py").write_text("print('the second')\n")
    second = demo.server.send(
        other, "main.py", project="code", name="second", environment={"PRECISION": "bf16"}
    )
    for job in (first, second):
        demo.server.completed(job)
    page = visit.open(f"/jobs/{second}?tab=code")
    expect(page.get_by_text("'the second'")).to_be_visible()
    page.get_by_role("button", name="Compare with").click()
    page.get_by_role("menuitem", name="first").click()
    expect(page.get_by_text("'the first'")).to_be_visible()
    expect(page.get_by_text("'the second'")).to_be_visible()
    page.get_by_role("button", name="Side by side").click()
    expect(page.get_by_text("'the first'")).to_be_visible()
    visit.looks_right("code-differences")
    page = visit.open(f"/compare?jobs={first},{second}")
    changed = page.get_by_role("navigation", name="Changed files")
    expect(changed.get_by_role("button")).to_have_text("main.pychanged")
    expect(page.get_by_text("'the first'")).to_be_visible()
    expect(page.get_by_role("row", name="$PRECISION")).to_contain_text("bf16")
    page.get_by_label("From the code of").select_option("second")
    expect(page.get_by_label("to that of")).to_contain_text("first")


def test_notes_and_tags_are_edited_in_place(visit: Visit, demo: Demo) -> None:
    job = demo.jobs[5]
    page = visit.open(f"/jobs/{job}")
    page.get_by_role("button", name="Edit notes").click()
    page.get_by_role("textbox", name="Notes").fill("It **converged** early.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("strong", has_text="converged")).to_be_visible()
    page.get_by_role("textbox", name="New tag").fill("quality=good")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Remove tag quality").wait_for()
    told = demo.server.job(job)
    assert told["notes"] == "It **converged** early."
    assert told["tags"]["quality"] == "good"
    page.get_by_role("button", name="Remove tag quality").click()
    expect(page.get_by_role("button", name="Remove tag quality")).to_have_count(0)


def test_rerun_clone_copy_and_delete(visit: Visit, demo: Demo) -> None:
    page = visit.open(f"/jobs/{demo.jobs[4]}")
    page.get_by_role("button", name="Clone").click()
    page.get_by_label("Value of epochs").fill("2")
    page.get_by_label("Name", exact=True).fill("cloned")
    page.get_by_role("button", name="Queue the clone").click()
    expect(page.get_by_role("heading", name="cloned")).to_be_visible()
    clone = page.url.rpartition("/")[2]
    assert demo.server.completed(clone)["params"]["epochs"] == 2
    page.get_by_role("button", name="Rerun").click()
    expect(page).not_to_have_url(f"{demo.url}/jobs/{clone}")
    again = page.url.rpartition("/")[2]
    demo.server.completed(again)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Copy the command").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("foundations ")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{demo.url}/projects/vision/jobs")
    demo.server.api().delete(clone)


def test_waiting_job_says_why(visit: Visit, demo: Demo) -> None:
    first = demo.server.send(_sleeper(demo), "main.py", project="queue", resources={"cpus": 4})
    demo.server.in_state(first, "running")
    second = demo.server.send(_sleeper(demo), "main.py", project="queue", resources={"cpus": 4})
    page = visit.open(f"/jobs/{second}")
    expect(page.get_by_text("Waits", exact=False).first).to_be_visible()
    for job in (second, first):
        demo.server.api().stop(job)
        demo.server.ended(job)


def _sleeper(demo: Demo) -> Path:
    folder = demo.server.root / "sleeper"
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text("import time\ntime.sleep(600)\n")
    assert sys.executable
    return folder
