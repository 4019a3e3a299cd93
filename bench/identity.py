"""What it costs that a server asks who is there: the same requests with users and without.

python bench/identity.py [--requests N] [--rounds N]

Both servers stand side by side and take turns: a runner's report, a page of the table of jobs with
a token, and the same with a browser's session. What counts is the CPU time that the server spends
on a request.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from crowd import Writer
from side_by_side import Table, arguments, environment, running_server
from side_by_side import temporary_folder as temporary

_PASSWORD = "a phrase for a bench"


def main() -> None:
    options = arguments(__doc__, rounds=7, requests=300)
    with temporary() as folder:
        plain_home, guarded_home = folder / "plain", folder / "guarded"
        add_user(guarded_home)
        with (
            running_server(plain_home, "--num-cpus", "2") as plain,
            running_server(guarded_home, "--num-cpus", "2", "--authentication") as guarded,
        ):
            plain_url, guarded_url = str(plain.state["url"]), str(guarded.state["url"])
            token, session = logged_in(guarded_url)
            without, users = (psutil.Process(one.state["pid"]) for one in (plain, guarded))
            bearer = {"Authorization": f"Bearer {token}"}
            cases = {
                "listing": (without, Listing(plain_url, {})),
                "listing, token": (users, Listing(guarded_url, bearer)),
                "listing, session": (users, Listing(guarded_url, {"Cookie": session})),
                "report": (without, Reports(plain_url, None)),
                "report, users": (users, Reports(guarded_url, token)),
            }
            spent: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(options.rounds):
                for name, (process, case) in cases.items():
                    before = sum(process.cpu_times()[:2])
                    case.ask(options.requests)
                    spent[name].append((sum(process.cpu_times()[:2]) - before) / options.requests)
    table = Table(1.0)
    for name, figures in spent.items():
        middle = sorted(figures)[len(figures) // 2]
        before = sorted(spent[name.partition(",")[0]])[len(figures) // 2]
        table.figure(
            f"{name}: ms", f"{middle * 1000:.2f} ({middle / before:.2f} times)", "1.1 times"
        )


def add_user(home: Path) -> None:
    """Make the one user of a home."""
    command = [sys.executable, "-m", "atlas_server.main", "user", "add", "ada", "--role", "admin"]
    subprocess.run(
        [*command, "--password-stdin"], env=environment(home), input=_PASSWORD.encode(), check=True,
        capture_output=True,
    )  # fmt: skip


def asked(url: str, method: str, path: str, value: Any, headers: dict[str, str]) -> Any:
    """Send one request; returns the response and its body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = None if value is None else json.dumps(value)
    connection.request(
        method, "/api/v1" + path, body, {"Content-Type": "application/json", **headers}
    )
    response = connection.getresponse()
    found = response, response.read()
    connection.close()
    assert response.status == 200, found[1]
    return found


def logged_in(url: str) -> tuple[str, str]:
    """Return the token of a login, and the cookie of a session."""
    wanted: dict[str, Any] = {"user": "ada", "password": _PASSWORD}
    token = json.loads(asked(url, "POST", "/auth/login", wanted, {})[1])["token"]
    response, _ = asked(url, "POST", "/auth/login", {**wanted, "browser": True}, {})
    return token, response.headers["set-cookie"].partition(";")[0]


class Listing:
    """A page of the table of jobs, again and again on one connection."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)
        self._headers = headers

    def ask(self, requests: int) -> None:
        """Send so many."""
        for _ in range(requests):
            self._connection.request("GET", "/api/v1/jobs?limit=20", headers=self._headers)
            response = self._connection.getresponse()
            response.read()
            assert response.status == 200


class Reports:
    """A runner that tells of one metric, again and again."""

    def __init__(self, url: str, token: str | None) -> None:
        self._writer = Writer(url, token)

    def ask(self, requests: int) -> None:
        """Send so many."""
        for _ in range(requests):
            self._writer.send(self._writer.report(1))


if __name__ == "__main__":
    main()
