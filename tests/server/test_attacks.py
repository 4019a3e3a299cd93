"""What attackers try from web pages, from other machines and from jobs, and what comes of it."""

from __future__ import annotations

import pytest
from tests.guarded import PASSWORDS, GuardedServer, guarded
from tests.live import Answer

from atlas_server.api import rights
from atlas_server.api.rights import Router, needs
from atlas_server.clock import SystemClock
from atlas_server.domain.rights import Right, Role
from atlas_server.services.accounts import Accounts
from atlas_server.services.attempts_at_login import LoginAttempts
from atlas_server.store import accounts
from foundations.contract.tokens import claim_token


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    # The tests speak for a proxy on this machine: they tell where requests come from.
    root = tmp_path_factory.mktemp("attacks")
    server = guarded(root, trusted_proxies="127.0.0.1", allow_privileges="process")
    try:
        yield GuardedServer(server)
        assert "Traceback" not in server.log(), server.log()
    finally:
        server.close()


def login(lab, user: str, password: str, address: str):
    wanted = {"user": user, "password": password}
    # As a proxy on this machine tells where a request comes from.
    return lab.ask("POST", "/auth/login", wanted, headers={"X-Forwarded-For": address})


# -- from pages


def test_session_is_a_cookie_that_no_script_reads(lab):
    wanted = {"user": "vera", "password": PASSWORDS["vera"], "browser": True}
    answer = lab.ask("POST", "/auth/login", wanted)
    assert answer.json["token"] is None
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    answer = lab.ask("POST", "/auth/login", wanted, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_page_of_others_does_nothing_with_a_session(lab, headers):
    session = lab.session("mia")
    job_id = lab.submit("mia", "wait", resources={"cpus": 2})
    cookie = {"Cookie": session["Cookie"]}
    answer = lab.ask("POST", f"/jobs/{job_id}/stop", headers={**cookie, **headers})
    assert answer.status in (403, 409), answer
    assert lab.api("mia").job(job_id)["state"] in ("queued", "starting", "running")
    own = {**session, "Sec-Fetch-Site": "same-origin"}
    assert lab.ask("POST", f"/jobs/{job_id}/stop", headers=own).status == 200


def test_page_of_others_reads_nothing_with_a_session(lab):
    session = {"Cookie": lab.session("mia")["Cookie"]}
    for site in ("cross-site", "same-site"):
        answer = lab.ask("GET", "/jobs", headers={**session, "Sec-Fetch-Site": site})
        assert answer.status == 409
    answer = lab.ask("GET", "/jobs", headers={**session, "Sec-Fetch-Site": "same-origin"})
    assert answer.status == 200
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


# -- sessions


def test_session_cannot_be_fixed_beforehand(lab):
    planted = lab.session("vera")
    wanted = {"user": "mia", "password": PASSWORDS["mia"], "browser": True}
    answer = lab.ask("POST", "/auth/login", wanted, headers=planted)
    assert answer.status == 200
    fresh = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert fresh["Cookie"] != planted["Cookie"]
    assert lab.ask("GET", "/auth/me", headers=fresh).json["user"]["name"] == "mia"
    # What was planted is nobody's any more.
    assert lab.ask("GET", "/jobs", headers={"Cookie": planted["Cookie"]}).status == 401


def test_cookie_is_no_token_and_token_no_cookie(lab):
    cookie = lab.session("mia")["Cookie"]
    name, _, secret = cookie.partition("=")
    assert lab.ask("GET", "/jobs", who=secret).status == 401
    swapped = {"Cookie": f"{name}={lab.tokens['mia']}"}
    assert lab.ask("GET", "/jobs", headers=swapped).status == 401


def test_new_password_ends_all_sessions_and_logout_those_that_are_meant(lab):
    old, new = PASSWORDS["otto"], "quite another phrase"
    sessions = [lab.session("otto"), lab.session("otto")]
    login_token = lab.login("otto")
    personal = lab.ask("POST", "/tokens", {"name": "ci"}, "otto").json["secret"]
    change = {"old": "not it at all", "new": new}
    assert lab.ask("POST", "/auth/password", change, headers=sessions[0]).status == 401
    answer = lab.ask("POST", "/auth/password", {"old": old, "new": new}, headers=sessions[0])
    assert answer.status == 204, answer
    for shown in sessions:
        assert lab.ask("GET", "/jobs", headers={"Cookie": shown["Cookie"]}).status == 401
    assert lab.ask("GET", "/jobs", who=login_token).status == 401
    assert lab.ask("GET", "/jobs", who=personal).status == 200
    fresh = {
        "Cookie": answer.headers["set-cookie"].partition(";")[0],
        "Origin": sessions[0]["Origin"],
    }
    assert lab.ask("GET", "/jobs", headers=fresh).status == 200
    assert lab.ask("POST", "/auth/logout", headers=fresh).status == 204
    assert lab.ask("GET", "/jobs", headers=fresh).status == 401
    again = [lab.login("otto", new), lab.login("otto", new)]
    assert lab.ask("POST", "/auth/logout", {"everywhere": True}, again[0]).status == 204
    assert [lab.ask("GET", "/jobs", who=one).status for one in again] == [401, 401]
    lab.tokens["otto"] = lab.login("otto", new)
    # Back, for those that come after.
    assert lab.ask("POST", "/auth/password", {"old": new, "new": old}, "otto").status == 204


def test_streams_end_with_what_has_opened_them(lab):
    job_id = lab.running("mia")
    job_token = lab.job_token(job_id)
    session = {"Cookie": lab.session("mia")["Cookie"]}
    made = lab.ask("POST", "/tokens", {"name": "watcher"}, "mia").json
    command = lab.server.server_command
    assert command("user", "add", "eve", "--no-password").code == 0
    eve = command("user", "token", "eve").out.strip()
    brief = {"name": "passing", "lifetime": 4}
    passing = lab.ask("POST", "/tokens", brief, "mia").json["secret"]
    watched = [
        lab.watch("/feed", passing),
        lab.watch("/feed", headers=session),
        lab.watch(f"/jobs/{job_id}/stream", made["secret"]),
        lab.watch("/nodes/live", eve),
        lab.watch(f"/jobs/{job_id}/stream", job_token),
    ]
    stays = lab.watch("/feed", "mia")
    lab.ask("POST", "/auth/logout", headers={**session, **lab.own_page})
    assert lab.ask("DELETE", f"/tokens/{made['token']['id']}", who="mia").status == 204
    assert command("user", "remove", "eve").code == 0
    lab.api("mia").stop(job_id)
    # To their ends, which come; and then nobody opens another one.
    assert all(stream.read() for stream in watched)
    for shown in (made["secret"], eve, passing):
        assert lab.ask("GET", "/feed", who=shown).status == 401
    assert b"hello" in stays.read1()
    stays.close()


# -- guessing


def test_guessing_has_to_wait_and_the_owner_does_not(lab):
    home, attacker = "198.51.100.7", "203.0.113.9"
    assert login(lab, "vera", PASSWORDS["vera"], home).status == 200
    answers = [login(lab, "vera", f"guess {n}", attacker).status for n in range(7)]
    assert answers[:5] == [401] * 5
    assert 429 in answers[5:]
    answer = login(lab, "vera", PASSWORDS["vera"], attacker)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "try again in" in answer.error["message"]
    assert login(lab, "vera", PASSWORDS["vera"], home).status == 200
    assert lab.ask("GET", "/jobs", who="vera").status == 200


def test_guesses_from_everywhere_do_not_keep_the_owner_out(databases, tmp_path):
    with databases.store(tmp_path) as store:
        users = Accounts(store, SystemClock())
        users.add("vera", Role.VIEWER, None)
        # Two processes of one server.
        here, there = LoginAttempts(store), LoginAttempts(store)
        tries = [(here, there)[n % 2].begin("vera", f"192.0.{n}.1", 1000.0) for n in range(60)]
        assert [n for n, wait in enumerate(tries) if wait == 0] == list(range(50))
        assert here.begin("vera", "203.0.113.1", 1000.0) > 0
        assert here.begin("mia", "203.0.113.1", 1000.0) == 0
        with store.write() as connection:
            known = accounts.find_user(connection, "vera")
            values = {"user": known.id, "kind": "login", "name": "", "digest": "", "scope": "all"}
            values |= {"created_at": 0.0, "address": "198.51.100.7"}
            accounts.add_token(connection, values)
        assert there.begin("vera", "198.51.100.7", 1000.0) == 0
        # Whoever succeeds has mistyped before; the others go on to wait.
        for _ in range(4):
            here.begin("vera", "198.51.100.7", 1000.0)
        there.succeeded("vera", "198.51.100.7")
        assert here.begin("vera", "198.51.100.7", 1000.0) == 0
        assert here.begin("vera", "203.0.113.1", 1000.0) > 0


def test_guesses_of_one_place_wait_and_nobody_does_for_ever(databases, tmp_path):
    with databases.store(tmp_path) as store:
        attempts = LoginAttempts(store)
        # Many names from one place, which with IPv6 is a whole network.
        for n in range(30):
            assert attempts.begin(f"user{n}", f"2001:db8::{n:x}", 2000.0) == 0
        assert attempts.begin("mia", "2001:db8::ffff", 2000.0) > 0
        assert attempts.begin("mia", "2001:db8:1::1", 2000.0) == 0
        now, waits = 3000.0, []
        for _ in range(40):
            waits.append(attempts.begin("otto", "203.0.113.5", now))
            now += waits[-1]
        assert max(waits) == 300
        # What is long past is forgotten.
        assert attempts.begin("otto", "203.0.113.5", now + 3601) == 0
        assert attempts.begin("otto", "203.0.113.5", now + 3601) == 0


# -- from jobs, and by oversight


def test_job_cannot_report_for_its_runner(lab):
    job_id = lab.running("mia")
    attempt, _ = lab.attempt(job_id)
    report = {
        "attempt": attempt, "phase": "finished", "result": {"exit_code": 0},
        "instance": (lab.server.home / "database" / "instance").read_text(),
    }  # fmt: skip
    assert lab.ask("POST", "/runner/report", report, lab.job_token(job_id)).status == 410
    assert lab.server.job(job_id)["state"] == "running"
    lab.api("mia").stop(job_id)


def test_copy_of_a_job_has_no_secrets_of_others(lab):
    secret = {"WIKI_TOKEN": "hunter2-hunter2"}
    job_id = lab.submit("mia", environment=secret)
    answer = lab.ask("POST", f"/jobs/{job_id}/rerun", {"command": ["steal.py"]}, "ada")
    assert answer.status == 201  # admins have everything
    answer = lab.ask("POST", f"/jobs/{job_id}/rerun", {"command": ["steal.py"]}, "otto")
    assert answer.status == 409
    assert "WIKI_TOKEN is mia's secret" in answer.error["message"]
    changes = {"environment": {"WIKI_TOKEN": "my own"}}
    answer = lab.ask("POST", f"/jobs/{job_id}/rerun", changes, "otto")
    assert (answer.status, answer.json["user"]) == (201, "otto")


def test_audit_log_has_what_was_answered(lab):
    def outcomes(action: str) -> list[int]:
        found = lab.ask("GET", f"/audit?action={action}", who="ada").json["entries"]
        return [entry["outcome"] for entry in found]

    assert lab.ask("POST", "/tokens", {"name": 3, "wrong": True}, "mia").status == 400
    assert lab.ask("POST", "/jobs", b"{", "mia").status == 400
    values = {"project": "tests", "bundle": "0" * 64, "command": ["main.py"]}
    assert lab.ask("POST", "/jobs", values, "mia").status == 422
    lab.server.wait_for(lambda: outcomes("accounts.create_token"))
    assert outcomes("accounts.create_token")[0] == 400
    # What is only to be sent first is no deed, and no refusal.
    assert outcomes("jobs.submit")[0] == 400


def test_endpoint_that_says_nothing_keeps_the_server_from_starting():
    router = Router()
    with pytest.raises(TypeError, match="does not say what right"):
        router.add_api_route("/open", lambda: None, methods=["GET"])
    with pytest.raises(TypeError, match="does not fit the path"):
        router.add_api_route("/all", needs(Right.MANAGE_JOB)(lambda: None), methods=["POST"])
    plain = rights.APIRouter()
    plain.add_api_route("/open", lambda: None, methods=["GET"])
    with pytest.raises(TypeError, match="does not say what right"):
        rights.check_declared(plain)


def test_who_reads_how_a_runner_was_started_is_too_late(lab):
    job_id = lab.submit("mia", "wait", environment={"API_KEY": "word"})
    lab.server.has_logged(job_id, b"begun")
    number, token = lab.attempt(job_id)
    instance = (lab.server.home / "database" / "instance").read_text()
    claim, own, other = claim_token(number, token), "o" * 32, "t" * 32

    def claimed(shown: str, token: str) -> Answer:
        return lab.ask("POST", "/runner/claim", {"instance": instance, "token": token}, shown)

    for wrong in (claim[:-1] + "x", "atc_1_", "x", token, lab.job_token(job_id)):
        assert claimed(wrong, own).status == 410
    assert claimed(claim, "short").status == 400
    assert claimed("", own).status == 401
    given = claimed(claim, own).json
    assert (given["token"], given["environment"]["API_KEY"]) == (own, "word")
    # The answer may be lost; another one gets none, and what was claimed is good for no more.
    assert claimed(claim, own).json == given
    assert claimed(claim, other).status == 410
    report = {"attempt": number, "instance": instance, "phase": "running"}
    assert [lab.ask("POST", "/runner/report", report, who).status for who in (claim, token)] == [
        410, 410,
    ]  # fmt: skip
    end = {**report, "phase": "finished", "result": {"exit_code": 0}}
    assert lab.ask("POST", "/runner/report", end, own).status == 200
    assert claimed(claim, own).status == 410
