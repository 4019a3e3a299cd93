"""The table of jobs: found, sorted, chosen, changed, and live."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from tests.gui.browser import Visit
from tests.gui.conftest import Demo, trained

pytestmark = pytest.mark.browser

TABLE = "/projects/vision/jobs"


def names(page: Page) -> list[str]:
    return page.get_by_test_id("job-row").get_by_role("link").all_inner_texts()


def query(page: Page) -> Any:
    return page.get_by_role("combobox", name="Search, or a query")


def test_query_filters_at_once_and_stands_in_the_address(visit: Visit, demo: Demo) -> None:
    page = visit.open(TABLE)
    query(page).fill("params.model = convnext and tag:baseline")
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    assert names(page) == ["sweep-1"]
    page.reload()
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    expect(query(page)).to_have_value("params.model = convnext and tag:baseline")


def test_query_is_corrected_and_completed(visit: Visit) -> None:
    page = visit.open(TABLE)
    expect(page.get_by_test_id("job-row")).to_have_count(9)
    query(page).fill("stat = failed")
    query(page).press("Escape")
    page.get_by_role("button", name="state", exact=True).click()
    expect(query(page)).to_have_value("state = failed")
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    query(page).fill("")
    query(page).press_sequentially("metrics.acc")
    page.get_by_role("option", name="metrics.accuracy").first.click()
    expect(query(page)).to_have_value("metrics.accuracy")


def test_heads_sort(visit: Visit) -> None:
    page = visit.open(TABLE)
    head = page.get_by_role("columnheader", name="seed")
    head.get_by_role("button", name="seed", exact=True).click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(page.get_by_test_id("job-row").first).to_contain_text("sweep-7")
    head.get_by_role("button", name="seed", exact=True).click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_test_id("job-row").first).to_contain_text("broken")


FILTERS = {
    "seed": ({"At least": "6"}, "params.seed >= 6", 2),
    "Duration": ({"At most": "2 h"}, "duration <= 2h", 9),
    "Memory": ({"At least": "512MB"}, "memory >= 512MB", 0),
    "Name": ({"Contains": "swee"}, 'name:"swee"', 8),
}


def test_column_filters_become_part_of_the_query(visit: Visit) -> None:
    page = visit.open(f'{TABLE}?cols=["params.seed","duration","memory","tags"]')

    def asked(column: str) -> None:
        page.get_by_role("columnheader", name=column).hover()
        page.get_by_role("button", name=f"Column {column}").click()
        page.get_by_role("menuitem", name="Filter").click()

    for column, (texts, clause, count) in FILTERS.items():
        asked(column)
        for label, text in texts.items():
            page.get_by_label(label).fill(text)
        page.get_by_role("button", name="Add to the query").click()
        expect(query(page)).to_have_value(clause)
        if count:
            expect(page.get_by_test_id("job-row")).to_have_count(count)
            query(page).fill("")
            query(page).press("Escape")
        else:
            page.get_by_role("button", name="Show all jobs").click()
    asked("Tags")
    page.get_by_role("dialog").get_by_role("checkbox", name="baseline").check()
    page.get_by_role("button", name="Add to the query").click()
    expect(query(page)).to_have_value("tag:baseline")
    expect(page.get_by_test_id("job-row")).to_have_count(3)
    page.get_by_role("group", name="States").get_by_role("button", name="failed").click()
    expect(page.get_by_text("No job fits")).to_be_visible()
    query(page).fill("")
    query(page).press("Escape")
    expect(page.get_by_test_id("job-row")).to_have_count(9)
    page.get_by_role("group", name="States").get_by_role("button", name="failed").click()
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    assert names(page) == ["broken"]


def test_columns_are_hidden_and_pinned(visit: Visit) -> None:
    page = visit.open(TABLE)
    page.get_by_role("columnheader", name="seed").hover()
    page.get_by_role("button", name="Column seed").click()
    page.get_by_role("menuitem", name="Hide").click()
    expect(page.get_by_role("columnheader", name="seed")).to_have_count(0)
    page.get_by_role("columnheader", name="epochs").hover()
    page.get_by_role("button", name="Column epochs").click()
    page.get_by_role("menuitem", name="Pin to the left").click()
    assert "pin=" in page.url
    page.reload()
    expect(page.get_by_role("columnheader", name="epochs")).to_have_css("position", "sticky")
    expect(page.get_by_role("columnheader", name="seed")).to_have_count(0)


def test_keyboard_moves_selects_and_opens(visit: Visit, demo: Demo) -> None:
    page = visit.open(TABLE)
    page.get_by_test_id("job-row").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("job-row").nth(1)).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_role("toolbar", name="Selected jobs")).to_contain_text("2 selected")
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar", name="Selected jobs")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{demo.url}/jobs/{demo.jobs[6]}")


def test_selected_jobs_are_tagged_compared_and_deleted(visit: Visit, demo: Demo) -> None:
    ours = [trained(demo.server, project="many", name=f"one-of-{n}") for n in range(3)]
    for job in ours:
        demo.server.completed(job)
    page = visit.open("/projects/many/jobs")
    page.get_by_role("checkbox", name="Select all jobs").check()
    bar = page.get_by_role("toolbar", name="Selected jobs")
    bar.get_by_role("button", name="Tag").click()
    page.get_by_label("Tag", exact=True).fill("chosen")
    page.get_by_role("button", name="Set the tag").click()
    expect(page.get_by_test_id("job-row").first).to_contain_text("chosen")
    bar.get_by_role("button", name="Select none").click()
    for row in range(2):
        page.get_by_test_id("job-row").nth(row).get_by_role("checkbox").check()
    bar.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare 2 jobs")).to_be_visible()
    page.go_back()
    page.get_by_test_id("job-row").first.get_by_role("checkbox").check()
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_test_id("job-row")).to_have_count(2)


def test_export_has_what_is_shown(visit: Visit) -> None:
    page = visit.open(f"{TABLE}?q=params.seed%20%3C%202")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="CSV").first.click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 4, lines  # seeds -1, 0 and 1
    assert "seed" in lines[0]


def test_new_jobs_and_states_appear_by_themselves(visit: Visit, demo: Demo) -> None:
    trained(demo.server, project="live", name="first")
    page = visit.open("/projects/live/jobs")
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    second = trained(demo.server, project="live", name="second", epochs=3)
    expect(page.get_by_test_id("job-row")).to_have_count(2)
    demo.server.completed(second)
    row = page.get_by_test_id("job-row").filter(has_text="second")
    expect(row.locator("[data-state=completed]")).to_have_count(1)


def test_brushing_an_axis_chooses_jobs(visit: Visit) -> None:
    page = visit.open(f"{TABLE}?panel=parallel")
    axis = page.locator('[data-axis="params.seed"]')
    box = axis.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 14, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 14, box["y"] + box["height"] * 0.36, steps=4)
    page.mouse.up()
    expect(page.get_by_test_id("job-row")).to_have_count(3)
    page.get_by_role("button", name="Choose all in the plot").click()
    expect(page.get_by_test_id("job-row")).to_have_count(9)
    page.get_by_role("button", name="Time", exact=True).click()
    plot = page.get_by_role("img", name="of 9 jobs over time").bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + 70, plot["y"] + 60)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + 90, steps=4)
    page.mouse.up()
    chosen = page.get_by_text("chosen in the plot")
    expect(chosen).to_be_visible()
    assert "started" in page.url
    expect(page.get_by_test_id("job-row").filter(has_text="sweep-0")).to_be_visible()
    page.get_by_role("group", name="Time").get_by_role("button", name="Finished").click()
    expect(chosen).to_have_count(0)
    expect(page.get_by_test_id("job-row")).to_have_count(9)


def test_only_columns_in_sight_exist(visit: Visit, demo: Demo) -> None:
    params = {f"p{number:03}": number for number in range(300)}
    demo.server.completed(trained(demo.server, project="wide", **params))
    shown = quote(json.dumps([f"params.{name}" for name in params]))
    page = visit.open(f'/projects/wide/jobs?cols={shown}&pin=["params.p007"]')
    row, heads = page.get_by_test_id("job-row").first, page.get_by_role("columnheader")
    expect(row.get_by_role("gridcell")).not_to_have_count(302)
    assert heads.count() == row.get_by_role("gridcell").count() < 40
    page.get_by_test_id("jobs-scroll").evaluate("table => table.scrollLeft = table.scrollWidth")
    last = heads.filter(has_text="p299")
    expect(last).to_be_in_viewport()
    cell = row.locator(f"[aria-colindex='{last.get_attribute('aria-colindex')}']")
    expect(cell).to_have_text("299")
    at, head = cell.bounding_box(), last.bounding_box()
    assert at
    assert head
    assert (at["x"], at["width"]) == (head["x"], head["width"])
    # What is pinned stays; what is left out is reached from the keyboard.
    expect(heads.filter(has_text="p007")).to_be_in_viewport()
    expect(heads.filter(has_text="p150")).to_have_count(0)
    heads.filter(has_text="p294").get_by_role("button", name="p294", exact=True).focus()
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
    expect(heads.filter(has_text="p284")).to_be_in_viewport()
