"""Logging in, one's tokens, the users and the audit log, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.guarded import PASSWORDS, GuardedServer, guarded
from tests.gui.browser import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(pages, tmp_path_factory):
    server = guarded(tmp_path_factory.mktemp("accounts"))
    try:
        yield GuardedServer(server, people=("mia", "vera"))
    finally:
        server.close()


@pytest.fixture
def visitor(browser, lab):
    """Makes visits; those that come before a login are refused, which browsers remark upon."""
    visits = []

    def come(**look) -> Visit:
        visits.append(Visit(browser, str(lab.server.facts["gui_url"]), **look))
        return visits[-1]

    yield come
    for visit in visits:
        refused = re.compile(r"status of (401|403|409)")
        visit.trouble = [text for text in visit.trouble if not refused.search(text)]
        visit.close()


def log_in(visit: Visit, name: str, path: str = "/") -> None:
    page = visit.open(path)
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORDS[name])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name=re.compile(f"^{name}, ")).wait_for()
    visit.settled()


def test_login_stands_before_every_page_and_leads_to_it(lab, visitor):
    visit = visitor()
    page = visit.open("/queue")
    expect(page.get_by_role("heading", name="Log in to Atlas")).to_be_visible()
    visit.looks_right("login")
    page.get_by_label("User name").fill("mia")
    page.get_by_label("Password").fill("not her password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("The user name or the password is wrong.")
    log_in(visit, "mia", "/queue")
    expect(page.get_by_role("heading", name="Queue", level=1)).to_be_visible()
    # No script has what shows who somebody is.
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name=re.compile("^mia, ")).click()
    expect(page.get_by_role("menuitem", name="Users")).to_have_count(0)
    page.get_by_role("menuitem", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in to Atlas")).to_be_visible()
    page.goto(visit.url + "/projects")
    expect(page.get_by_role("heading", name="Log in to Atlas")).to_be_visible()


def test_tokens_are_made_shown_once_and_ended(lab, visitor):
    visit = visitor()
    log_in(visit, "mia", "/account")
    page = visit.page
    page.get_by_role("button", name="New token").click()
    page.get_by_label("What it is for").fill("ci")
    page.get_by_label("It may").select_option("read")
    page.get_by_role("button", name="Make it").click()
    dialog = page.get_by_role("dialog", name="Token ci")
    secret = dialog.locator("code").inner_text()
    assert lab.ask("GET", "/auth/me", who=secret).json["user"]["role"] == "viewer"
    assert visit.violations() == []
    dialog.get_by_role("button", name="Done").click()
    row = page.get_by_role("row", name=re.compile("^ci "))
    expect(row).to_contain_text("read")
    expect(page.get_by_text(secret)).to_have_count(0)
    visit.looks_right("account")
    row.get_by_role("button", name="End ci").click()
    expect(row).to_have_count(0)
    assert lab.ask("GET", "/jobs", who=secret).status == 401
    # A page that is only looked at hears of it, too.
    assert lab.ask("POST", "/auth/logout", {"everywhere": True}, lab.login("mia")).status == 204
    expect(page.get_by_role("heading", name="Log in to Atlas")).to_be_visible(timeout=20_000)


def test_admin_looks_after_users_and_reads_what_was_done(lab, visitor):
    visit = visitor()
    log_in(visit, "ada", "/users")
    page = visit.page
    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("Name", exact=True).fill("noor")
    page.get_by_label("Password", exact=True).fill("a phrase of her own")
    visit.looks_right("user added")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Role of noor").select_option("viewer")
    expect(page.get_by_text("noor is viewer now").first).to_be_visible()
    page.get_by_label("Role of ada").select_option("member")
    expect(page.get_by_text("is the only admin").first).to_be_visible()
    visit.looks_right("users")
    page.get_by_role("button", name="Remove noor").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("^noor "))).to_have_count(0)
    page = visit.open("/audit")
    expect(page.get_by_role("row").filter(has_text="noor viewer")).to_be_visible()
    page.get_by_label("Only of").select_option("mia")
    visit.settled()
    expect(page.get_by_role("cell", name="ada", exact=True)).to_have_count(0)
    visit.looks_right("audit")


def test_server_that_asks_nobody_has_no_login(visit):
    page = visit.open("/projects")
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(", admin"))).to_have_count(0)
