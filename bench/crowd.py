"""Many at once against one server, over HTTP: writers of metrics and logs, and readers of logs.

python bench/crowd.py [--writers N] [--readers N] [--points N] [--batch N] [--rounds N]

The writers speak as runners do. First a few of them send metrics as fast as the server takes them;
then all `writers` record and print while `readers` follow one job's log to its end.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import threading
import time
from typing import Any

from side_by_side import Table, arguments, running_server
from side_by_side import temporary_folder as temporary

from foundations.client.api import Api
from foundations.client.follow import follow
from foundations.contract.manifest import encode
from foundations.ids import new_job_id

_SENDERS = 4
_METRICS = 5
_LINES = 40


def main() -> None:
    options = arguments(__doc__, rounds=3, writers=64, readers=100, points=400_000, batch=10_000)
    rates, crowds, errors = [], [], []
    with temporary() as folder, running_server(folder / "home", "--num-cpus", "2") as server:
        url = str(server.state["url"])
        for _ in range(options.rounds):
            rates.append(options.points / ingested(url, options.points, options.batch))
            spent, wrong = crowd(url, options.writers, options.readers)
            crowds.append(spent)
            errors += wrong
        log = (folder / "home" / "logs" / "server.log").read_text()
    table = Table(1.0)
    table.figure("metric points a second", f"{max(rates):,.0f}", "50,000")
    table.figure("the same, median", f"{sorted(rates)[len(rates) // 2]:,.0f}", "50,000")
    table.times(f"{options.writers} writers, {options.readers} readers", crowds)
    table.figure("errors, or a locked database", str(len(errors) + log.count("locked")), "0")
    for text in errors[:5]:
        print(text)


class Writer:
    """A job that runs somewhere, as the server sees it."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.api = Api(url, token)
        digest, _ = self.api.send_manifest(encode([]))
        spec = {"project": "crowd", "bundle": digest, "command": ["main.py"], "user": "bench"}
        taken = self.api.take(
            {"job_id": new_job_id(), "spec": spec, "started_at": time.time(), "instance": ""}
        )
        self.job_id = taken["job_id"]
        self._known = {"attempt": taken["attempt"], "instance": taken["instance"]}
        self.api.connection.token = taken["token"]
        self._next = 1
        self.log_size = 0

    def report(self, points: int, text: bytes = b"", result: Any = None) -> bytes:
        """Return a report as it travels."""
        lines = [
            {
                "n": n,
                "t": 1.8e9 + n,
                "k": "metric",
                "key": f"m{n % _METRICS}",
                "value": n / 7,
                "step": n,
            }
            for n in range(self._next, self._next + points)
        ]
        value = {
            **self._known, "phase": "finished" if result else "running", "runner": "1:1:host",
            "started_at": 1.8e9, "log_offset": self.log_size, "result": result,
            "log": base64.b64encode(text).decode(),
            "journal": [{"writer": "w", "first": self._next, "events": lines}] if points else [],
        }  # fmt: skip
        self._next += points
        self.log_size += len(text)
        return json.dumps(value).encode()

    def send(self, body: bytes) -> None:
        """Send a report."""
        kind = {"Content-Type": "application/json"}
        self.api.connection.request("POST", "/api/v1/runner/report", body, kind).read()


def ingested(url: str, points: int, batch: int) -> float:
    """Return the seconds until the server has so many points of several jobs."""
    ready = multiprocessing.Barrier(_SENDERS + 1)
    share = points // _SENDERS
    senders = [
        multiprocessing.Process(target=_send, args=(url, share, batch, ready))
        for _ in range(_SENDERS)
    ]
    for each in senders:
        each.start()
    ready.wait()
    begun = time.perf_counter()
    for each in senders:
        each.join()
        assert each.exitcode == 0
    return time.perf_counter() - begun


def _send(url: str, points: int, batch: int, ready: Any) -> None:
    writer = Writer(url)
    bodies = [writer.report(min(batch, points - n)) for n in range(0, points, batch)]
    ready.wait()
    for body in bodies:
        writer.send(body)


def crowd(url: str, writers: int, readers: int) -> tuple[float, list[str]]:
    """Return how long it took, and what went wrong: what a writer met, or a reader did not get."""
    watched = Writer(url)
    watched.send(watched.report(0))
    wrong: list[str] = []
    expected = b"".join(b"line %d\n" % n for n in range(_LINES))

    def read() -> None:
        try:
            got = b"".join(
                data["text"].encode()
                for event, data in follow(Api(url), watched.job_id)
                if event == "log"
            )
            if got != expected:
                wrong.append(f"a reader got {len(got)} of {len(expected)} bytes")
        except Exception as error:
            wrong.append(repr(error))

    def write() -> None:
        try:
            writer = Writer(url)
            for n in range(_LINES):
                writer.send(writer.report(50, b"writes %d\n" % n))
            writer.send(writer.report(0, result={"exit_code": 0}))
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(readers)]
    threads += [threading.Thread(target=write) for _ in range(writers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for n in range(_LINES):
        watched.send(watched.report(0, b"line %d\n" % n))
        time.sleep(0.02)
    watched.send(watched.report(0, result={"exit_code": 0}))
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, wrong


if __name__ == "__main__":
    main()
