"""A server that asks who is there, with people of every role, and what they show."""

from __future__ import annotations

import http.client
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.live import Answer, LiveServer, make_folder

from foundations.client.api import Api
from foundations.contract.tokens import job_token

PASSWORDS = {
    "ada": "the first programmer",
    "mia": "a member of the lab",
    "otto": "another member here",
    "vera": "only looks at things",
}
ROLES = {"ada": "admin", "mia": "member", "otto": "member", "vera": "viewer"}
MAIN = """
import sys, threading
print("begun", flush=True)
if "wait" in sys.argv:
    threading.Event().wait()
"""


class GuardedServer:
    """People: ada (admin), mia and otto (members), vera (viewer). `tokens` has one of each."""

    def __init__(self, server: LiveServer, people: Sequence[str] = ("mia", "otto", "vera")) -> None:
        self.server = server
        self.add("ada")
        server.start()
        self.address = urlsplit(server.url).netloc
        self.tokens = {"ada": self.login("ada")}
        for name in people:
            wanted = {"name": name, "role": ROLES[name], "password": PASSWORDS[name]}
            assert self.ask("POST", "/users", wanted, "ada").status == 201
            self.tokens[name] = self.login(name)
        self.folder = make_folder(server.root / "code", main=MAIN)
        server.token = self.tokens[people[0] if people else "ada"]

    def add(self, name: str, role: str = "") -> None:
        """Add a user on the command line."""
        with_user(self.server, name, role or ROLES[name])

    def login(self, name: str, password: str | None = None) -> str:
        """Log in as the command line does; returns the token."""
        wanted = {"user": name, "password": password or PASSWORDS[name]}
        answer = self.ask("POST", "/auth/login", wanted)
        assert answer.status == 200, answer
        return answer.json["token"]

    def ask(
        self,
        method: str,
        path: str,
        value: Any = None,
        who: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request; `who` is one of the people, or a token."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        sent = dict(headers or {})
        body = value
        if value is not None and not isinstance(value, bytes):
            body = json.dumps(value).encode()
            sent["Content-Type"] = "application/json"
        if who:
            sent["Authorization"] = "Bearer " + self.tokens.get(who, who)
        try:
            target = path if path.startswith("/api") else "/api/v1" + path
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            head = {name.lower(): value for name, value in response.getheaders()}
            endless = head.get("content-type", "").startswith("text/event-stream")
            return Answer(response.status, head, b"" if endless else response.read())
        finally:
            connection.close()

    def watch(
        self, path: str, who: str = "", headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Open a stream that does not end by itself."""
        shown = {"Authorization": "Bearer " + self.tokens.get(who, who)} if who else {}
        # The response has the connection to itself, and closes it.
        shown["Connection"] = "close"
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("GET", "/api/v1" + path, headers={**shown, **(headers or {})})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return response

    @property
    def own_page(self) -> dict[str, str]:
        """What a browser says of requests that the server's own pages send."""
        return {"Origin": "http://" + self.address}

    def api(self, who: str) -> Api:
        """A connection as one of the people."""
        return Api(self.server.url, self.tokens.get(who, who))

    def submit(self, who: str, *command: str, **spec: Any) -> str:
        """Queue a job as one of the people; returns its ID."""
        if not hasattr(self, "bundle"):
            self.server.send(self.folder, "main.py")
            self.bundle = self.server._sent[self.folder]
        values = {
            "project": "tests", "bundle": self.bundle, "command": ["main.py", *command],
            "interpreter": sys.executable, "resources": {"cpus": 1}, **spec,
        }  # fmt: skip
        answer = self.ask("POST", "/jobs", values, who)
        assert answer.status == 201, answer
        return answer.json["job_id"]

    def running(self, who: str) -> str:
        """Submit a job that waits for ever, and wait until it runs."""
        job_id = self.submit(who, "wait")
        self.server.has_logged(job_id, b"begun")
        return job_id

    def attempt(self, job_id: str) -> tuple[int, str]:
        """The newest attempt of a job and its runner's token."""
        path = f"file:{self.server.home}/database/atlas.db?mode=ro"
        database = sqlite3.connect(path, uri=True)
        query = (
            "SELECT attempts.id, token FROM attempts JOIN jobs ON jobs.id = job"
            " WHERE job_id = ? ORDER BY number DESC"
        )
        try:
            return database.execute(query, [job_id]).fetchone()
        finally:
            database.close()

    def job_token(self, job_id: str) -> str:
        """What a job's own programs show."""
        return job_token(*self.attempt(job_id))

    def session(self, name: str) -> dict[str, str]:
        """Log in as a browser does; returns the headers that its pages' requests have."""
        wanted = {"user": name, "password": PASSWORDS[name], "browser": True}
        answer = self.ask("POST", "/auth/login", wanted)
        assert answer.status == 200, answer
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return {"Cookie": cookie, **self.own_page}


def guarded(
    root: Path, at: list[str] | None = None, cpus: float = 2, **settings: object
) -> LiveServer:
    """A server that asks who is there, not started."""
    return LiveServer(root, cpus, settings={"authentication": True, **settings}, at=at)


def with_user(server: LiveServer, name: str, role: str) -> None:
    """Add a user on the command line, with the password that this name has here."""
    command = ("user", "add", name, "--role", role, "--password-stdin")
    done = server.server_command(*command, stdin=PASSWORDS[name] + "\n")
    assert done.code == 0, done
