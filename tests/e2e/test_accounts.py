"""Users and what they type: accounts, logins, tokens; jobs that submit jobs in their name."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.guarded import PASSWORDS, GuardedServer, guarded
from tests.live import LiveServer, make_folder

NESTED = """
import sys
import foundations
from foundations import config
from foundations.client.api import Api
from foundations.errors import FoundationsError

stranger = sys.argv[1]
child = foundations.submit(job_directory="child", command=["main.py"], num_cpus=0.1)
child.wait_for_deployment_to_complete()
print("loss", child.get_metric("loss"), "user", child.get_job_details()["user"], flush=True)

api = Api.of_user("unix://" + config.job_socket())
for ask in (lambda: api.job(stranger), lambda: api.stop(stranger), lambda: api.jobs(),
            lambda: api.clear_queue(), lambda: api.create_token("mine", "all", None)):
    try:
        ask()
        print("REACHED")
    except FoundationsError as error:
        print("refused:", error.code)
try:
    Api("unix://" + config.job_socket()).jobs()
except FoundationsError as error:
    print("without a token:", error.code)
"""
TABLE = """
import sys, foundations
for row in foundations.get_metrics_for_all_jobs(sys.argv[1], as_="records"):
    print("row", row["job_id"], row.get("loss"))
"""
CHILD = "import foundations; foundations.log_metric('loss', 0.25)"


def nested_folder(root: Path) -> Path:
    folder = make_folder(root / "nested", main=NESTED)
    make_folder(folder / "child", main=CHILD)
    return folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    server = guarded(tmp_path_factory.mktemp("accounts"), cpus=3)
    try:
        yield GuardedServer(server)
        assert "Traceback" not in server.log(), server.log()
    finally:
        server.close()


def test_server_that_others_reach_does_not_start_without_users(tmp_path):
    server = LiveServer(tmp_path)
    done = server.server_command("start", "--host", "0.0.0.0")
    assert done.code == 1
    assert "has no users yet" in done.err
    assert "atlas-server user add NAME --role admin" in done.err
    done = server.server_command("start", "--host", "0.0.0.0", "--no-authentication")
    assert done.code == 1
    assert "without authentication" in done.err
    assert not (server.home / "run" / "server.json").exists()


def test_login_is_kept_for_its_owner_alone_and_ends(lab, tmp_path):
    server, own = lab.server, {"FOUNDATIONS_HOME": str(tmp_path / "laptop")}
    url = server.url
    config = tmp_path / "laptop" / "config" / "submission" / "lab.config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"scheduler_url: {url}\n")

    def type_(*words: str, stdin: str = "", **more: str):
        return server.cli(*words, env={**own, **more}, stdin=stdin)

    done = type_("list", "--scheduler", "lab")
    assert done.code == 1
    assert f"foundations login {url}" in done.err
    done = type_("login", "lab", "-u", "mia", "-p", "not her password")
    assert (done.code, done.out) == (1, "")
    assert "Login failed: The user name or the password is wrong." in done.err
    done = type_("login", "lab", "-u", "nobody", "-p", "not her password")
    assert "Login failed: The user name or the password is wrong." in done.err

    # By the address of the web pages: it is the same server.
    gui = server.facts["gui_url"].replace("127.0.0.1", "localhost")
    done = type_("login", gui, "-u", "mia", "--password-stdin", stdin=PASSWORDS["mia"] + "\n")
    assert done.code == 0, done
    assert done.out.startswith("Login Succeeded!\n")
    kept = tmp_path / "laptop" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORDS["mia"] not in kept.read_text()
    assert type_("list", "--scheduler", "lab").code == 0
    assert "mia (member)" in type_("whoami", "lab").out

    made = type_("token", "create", "ci", "--scope", "read", "--host", "lab").out.strip()
    done = type_("token", "create", "ci", "--host", "lab")
    assert "There is a token 'ci' already." in done.err
    known = json.loads(type_("whoami", "lab", "--json", FOUNDATIONS_TOKEN=made).out)
    assert (known["user"]["role"], known["user"]["through"]) == ("viewer", "token ci")
    done = type_("token", "create", "more", "--host", "lab", FOUNDATIONS_TOKEN=made)
    assert "its scope is 'read'" in done.err
    assert type_("token", "revoke", "ci", "--host", "lab").code == 0
    done = type_("list", "--scheduler", "lab", FOUNDATIONS_TOKEN=made)
    assert "Token is not valid" in done.err
    assert "FOUNDATIONS_TOKEN, which counts before a login" in done.err

    assert type_("logout", "lab").code == 0
    secret = json.loads(kept.read_text() or "{}")
    assert secret == {}
    assert type_("list", "--scheduler", "lab").code == 1
    assert type_("logout", "lab").code == 0

    # As versions before have kept it: one for all.
    (tmp_path / "laptop" / "credentials.yaml").write_text(
        f"default:\n  token: {lab.tokens['vera']}\n"
    )
    assert "vera (viewer)" in type_("whoami", "lab").out
    done = type_("clear-queue", "--scheduler", "lab", "--yes")
    assert done.code == 1
    assert "'vera' may only look" in done.err


def test_job_reaches_itself_and_what_it_submits(lab):
    server = lab.server
    stranger = lab.submit("otto", "wait", resources={"cpus": 0.1})
    folder = nested_folder(server.root)
    # Whoever is logged in counts, not what the program says.
    done = server.cli(
        "submit", "--num-cpus", "1", "scheduler", str(folder), "main.py", stranger,
        env={"FOUNDATIONS_TOKEN": lab.tokens["mia"], "FOUNDATIONS_USER": "ada"},
    )  # fmt: skip
    assert done.code == 0, done
    assert "loss 0.25 user mia" in done.out
    assert "REACHED" not in done.out
    assert done.out.count("refused: forbidden") == 5
    assert "without a token: unauthenticated" in done.out
    jobs = {job["job_id"]: job for job in lab.api("mia").jobs(project="nested")["jobs"]}
    jobs |= {job["job_id"]: job for job in lab.api("mia").jobs(project="child")["jobs"]}
    parents = {lab.api("mia").job(job_id)["spec"]["parent"] for job_id in jobs}
    assert {job["user"] for job in jobs.values()} == {"mia"}
    assert len(parents) == 2
    assert parents - {None} <= set(jobs)
    lab.api("otto").stop(stranger)


def test_ended_jobs_token_is_of_no_use(lab):
    job_id = lab.submit("mia")
    lab.server.completed(job_id)
    answer = lab.ask("GET", f"/jobs/{job_id}", who=lab.job_token(job_id))
    assert answer.status == 401
    assert "has ended with job" in answer.error["message"]


def test_no_secret_is_shown_anywhere(lab):
    job_id = lab.running("mia")
    worker = lab.server.workers(job_id)[0]
    secrets = [lab.job_token(job_id), lab.attempt(job_id)[1], *lab.tokens.values()]
    seen = [
        Path(f"/proc/{worker}/environ").read_bytes(), Path(f"/proc/{worker}/cmdline").read_bytes(),
        lab.server.log().encode(), json.dumps(lab.server.job(job_id)).encode(),
        json.dumps(lab.ask("GET", "/audit", who="ada").json).encode(),
    ]  # fmt: skip
    shown = [
        (number, secret)
        for number, text in enumerate(seen)
        for secret in [*secrets, *PASSWORDS.values()]
        if secret.encode() in text
    ]
    assert shown == []
    lab.api("mia").stop(job_id)


def test_users_are_changed_while_the_server_runs(lab):
    command = lab.server.server_command
    assert command("user", "role", "ada", "member").code == 1
    done = command("user", "add", "eve", "--password-stdin", stdin="short\n")
    assert "too short" in done.err
    assert command("user", "add", "eve", "--no-password").code == 0
    assert "There is a user 'eve' already" in command("user", "add", "Eve", "--no-password").err
    token = command("user", "token", "eve", "--expires", "1h").out.strip()
    assert lab.ask("GET", "/auth/me", who=token).json["user"]["name"] == "eve"
    answer = lab.ask("POST", "/auth/login", {"user": "eve", "password": ""})
    assert answer.status == 401
    assert command("user", "remove", "eve").code == 0

    def is_out() -> bool:
        return lab.ask("GET", "/jobs", who=token).status == 401

    lab.server.wait_for(is_out)
    assert "eve" not in command("user", "list").out
    done = command("audit", "--json", "--limit", "500")
    deeds = [json.loads(line) for line in done.out.splitlines()]
    assert {"accounts.login", "jobs.submit", "accounts.add_user"} <= {d["action"] for d in deeds}
    assert any(d["user"] == "mia" and d["action"] == "jobs.submit" for d in deeds)


def test_a_proxy_that_is_not_known_is_told_of_once(lab):
    for number in range(2):
        lab.ask("GET", "/health", headers={"X-Forwarded-For": f"203.0.113.{number}"})
    assert lab.server.log().count("127.0.0.1, which is no proxy of trusted_proxies") == 1


def test_login_lives_on_while_it_is_used_at_names_of_the_server(tmp_path):
    server = guarded(tmp_path, session_lifetime=3, hosts="lab.example.org", host="0.0.0.0")
    try:
        lab = GuardedServer(server, people=("mia",))
        born = lab.ask("GET", "/auth/me", who="mia").json["user"]["expires_at"]

        def outlived() -> bool:
            known = lab.ask("GET", "/auth/me", who="mia")
            assert known.status == 200, known
            return known.json["user"]["expires_at"] > born + 3

        server.wait_for(outlived)
        # Who did nothing has to log in again.
        assert lab.ask("GET", "/jobs", who="ada").status == 401
        assert lab.ask("GET", "/jobs", who="mia").status == 200
        named = lab.ask("GET", "/jobs", None, "mia", {"Host": "lab.example.org:80"})
        assert named.status == 200
        assert lab.ask("GET", "/jobs", None, "mia", {"Host": "rebound.example"}).status == 409
        # It says where others reach it, too.
        shown = server.server_command("status").out
        told = json.loads(server.server_command("status", "--json").out)
        for place in told["elsewhere"]:
            assert f"for others {place['url']}, {place['gui_url']}" in shown
            reached = urlsplit(place["url"])
            assert reached.hostname not in ("127.0.0.1", "0.0.0.0")
            socket.create_connection((reached.hostname, reached.port), 60).close()
    finally:
        server.close()


def test_server_without_authentication_answers_to_this_machine_and_to_jobs_by_token(tmp_path):
    with LiveServer(tmp_path, cpus=3) as server:
        lab = GuardedServer.__new__(GuardedServer)
        lab.address, lab.tokens = server.url.partition("://")[2], {}
        assert lab.ask("GET", "/jobs", headers={"Host": "rebound.example"}).status == 409
        assert lab.ask("GET", "/jobs", headers={"Host": "localhost"}).status == 200
        # Another program's page on this machine.
        answer = lab.ask("POST", "/bulk", {}, headers={"Origin": "http://127.0.0.1:8888"})
        assert answer.status == 409
        # A proxy would let the world in.
        answer = lab.ask("GET", "/jobs", headers={"X-Forwarded-For": "203.0.113.5"})
        assert answer.status == 403
        assert "authentication: true" in answer.error["hint"]
        assert lab.ask("GET", "/auth/me").json == {"authentication": False, "user": None}
        # A token for another server is no harm.
        assert lab.ask("GET", "/jobs", who="atp_of_another_server").status == 200

        stranger = server.send(make_folder(tmp_path / "other", main=CHILD), "main.py")
        server.completed(stranger)
        folder = nested_folder(tmp_path)
        done = server.cli(
            "submit", "--num-cpus", "1", "scheduler", str(folder), "main.py", stranger
        )
        assert "loss 0.25" in done.out, done
        assert "REACHED" not in done.out
        assert "without a token: unauthenticated" in done.out
        assert os.path.exists(server.home / "run" / "jobs.sock")
        # What others have come to is open to it.
        project = server.job(stranger)["project"]
        table = make_folder(tmp_path / "table", main=TABLE)
        done = server.cli("submit", "--num-cpus", "1", "scheduler", str(table), "main.py", project)
        assert f"row {stranger} 0.25" in done.out, done
