"""Projects, queue, search, the server lost and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.gui.browser import Visit
from tests.gui.conftest import Demo, trained
from tests.live import LiveServer

pytestmark = pytest.mark.browser


def test_empty_server_teaches_the_first_command(browser: Any, own_server: LiveServer) -> None:
    visit = Visit(browser, str(own_server.facts["gui_url"]))
    page = visit.open("/")
    expect(page.get_by_text("foundations init my_project")).to_be_visible()
    page.goto(visit.url + "/queue")
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible()
    visit.picture("empty")
    visit.close()


def test_project_is_found_renamed_archived_and_deleted(visit: Visit, demo: Demo) -> None:
    demo.server.completed(trained(demo.server, project="short-lived", epochs=1))
    page = visit.open("/projects")
    page.get_by_role("searchbox", name="Find a project").fill("short")
    item = page.get_by_test_id("projects").get_by_role("listitem")
    expect(item).to_have_count(1)
    item.get_by_role("button", name="More about short-lived").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("textbox", name="Name").fill("short #1 & odd?")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    page.get_by_role("link", name="short #1 & odd?").click()
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    page.get_by_role("link", name="Projects").click()
    page.get_by_role("button", name="More about short #1 & odd?").click()
    page.get_by_role("menuitem", name="Archive").click()
    expect(page.get_by_role("link", name="short #1 & odd?")).to_have_count(0)
    page.get_by_role("switch", name="Archived").check()
    page.get_by_role("button", name="More about short #1 & odd?").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_label("Type short #1 & odd? to confirm").fill("short #1 & odd?")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("link", name="short #1 & odd?")).to_have_count(0)


def test_readme_and_notes_of_a_project(visit: Visit) -> None:
    page = visit.open("/projects/vision/overview")
    page.get_by_role("button", name="Edit readme").click()
    page.get_by_role("textbox", name="README").fill("# Goals\n\n* be better")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Goals")).to_be_visible()
    page.get_by_role("textbox", name="New note").fill("Warm-up *matters*.")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_test_id("notes").locator("em")).to_have_text("matters")
    page.get_by_role("button", name="Delete the note").click()
    expect(page.get_by_test_id("notes").locator("em")).to_have_count(0)
    shown = page.get_by_role("img", name="jobs over time")
    expect(shown).to_have_count(1)
    page.get_by_role("button", name="accuracy").click()
    page.get_by_role("menuitemcheckbox", name="train/loss").click()
    page.get_by_role("menuitemcheckbox", name="loss", exact=True).click()
    expect(shown).to_have_count(3)
    page.reload()
    expect(shown).to_have_count(3)


def test_queue_is_put_in_another_order_and_cleared(
    browser: Any, own_server: LiveServer, tmp_path: Path
) -> None:
    folder = tmp_path / "sleeper"
    folder.mkdir()
    (folder / "main.py").write_text("import time\ntime.sleep(600)\n")
    running = own_server.send(folder, "main.py", resources={"cpus": 2}, name="running")
    own_server.in_state(running, "running")
    for name in ("one", "two", "three"):
        own_server.send(folder, "main.py", resources={"cpus": 2}, name=name)
    visit = Visit(browser, str(own_server.facts["gui_url"]))
    page = visit.open("/queue")
    waiting = page.get_by_test_id("waiting-job")
    expect(waiting).to_have_count(3)
    page.get_by_role("button", name="Move three to the front").click()
    expect(waiting.first).to_contain_text("three")
    page.get_by_role("button", name="Move one down").click()
    expect(waiting.nth(2)).to_contain_text("one")
    own_server.send(folder, "main.py", resources={"cpus": 2}, name="theirs", user="somebody")
    expect(page.get_by_text("Several people wait")).to_be_visible()
    expect(waiting.first).to_contain_text("theirs")
    page.get_by_role("button", name="Raise the priority of three").click()
    expect(waiting.first).to_contain_text("three")
    node = own_server.api().nodes()[0]["name"]
    expect(page.get_by_role("region", name="Running jobs")).to_contain_text(node)
    page.get_by_role("button", name="Set limits").click()
    page.get_by_label("Name").fill("somebody")
    page.get_by_role("textbox", name="Waiting jobs").fill("3")
    visit.picture("limits")
    assert visit.violations() == []
    page.get_by_role("button", name="Set", exact=True).click()
    limited = page.get_by_test_id("limited").filter(has_text="somebody")
    expect(limited).to_contain_text("1 of 3")
    visit.looks_right("queue-waiting")
    page.get_by_role("button", name="Limits of somebody").click()
    page.get_by_role("button", name="Take all of them back").click()
    expect(limited).not_to_contain_text("of 3")
    page.get_by_role("button", name="Clear the queue").click()
    page.get_by_role("button", name="Stop all that wait").click()
    expect(waiting).to_have_count(0)
    own_server.api().stop(running)
    own_server.ended(running)
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible()
    visit.close()


def test_search_finds_projects_and_jobs(visit: Visit, demo: Demo) -> None:
    page = visit.open("/projects")
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search projects, jobs and pages")
    box.fill("sweep-6")
    expect(page.get_by_role("option", name="sweep-6")).to_be_visible()
    visit.picture("search")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{demo.url}/jobs/{demo.jobs[6]}")


def test_theme_is_chosen_and_kept(visit: Visit) -> None:
    page = visit.open("/projects")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_server_is_lost_and_comes_back(browser: Any, own_server: LiveServer) -> None:
    visit = Visit(browser, str(own_server.facts["gui_url"]))
    page = visit.open("/projects")
    port = visit.url.rpartition(":")[2]
    own_server.kill()
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    own_server.restart(gui_port=port)
    expect(page.get_by_text("The server does not answer.")).to_have_count(0)
    own_server.send(_quick(own_server), "main.py", project="after")
    expect(page.get_by_role("link", name="after")).to_be_visible()
    visit.trouble.clear()  # a browser says of each failed request that it failed
    visit.close()


def _quick(server: LiveServer) -> Path:
    folder = server.root / "quick"
    folder.mkdir()
    (folder / "main.py").write_text("print('hello')\n")
    return folder
