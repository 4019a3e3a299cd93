"""A server with 100,000 waiting jobs beside one with 100.

    python bench/waiting_queue.py [--jobs N] [--few N] [--rounds N] [--decisions N]

Each server has one CPU, held by a job that waits for a file; the others are put into its database
while it is stopped. The decision is the time from a running job's end to the beginning of the next
one's attempt, as the database has them, of the jobs that run once the file is there.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from side_by_side import (
    BARE,
    FOUNDATIONS,
    Server,
    Table,
    arguments,
    make_project,
    take_turns,
    temporary_folder,
    timed,
    wait_until,
)

from foundations.client.api import Api

_GATE = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]):\n    time.sleep(0.05)\n"
_COMMANDS = (["list"], ["queue"])


def main() -> None:
    options = arguments(__doc__, rounds=7, jobs=100_000, few=100, decisions=30)
    with temporary_folder() as folder, contextlib.ExitStack() as ending:
        few, many = Queue(folder / "few", options.few), Queue(folder / "many", options.jobs)
        for queue in (few, many):
            ending.callback(queue.server.end_everything)
            queue.fill()
        unit = [timed(BARE, few.server.env) for _ in range(5)]
        table = Table(statistics.median(unit))
        table.times("python -c pass (the unit)", unit)
        for queue in (few, many):
            table.times(f"server ready, {queue.count} waiting", [queue.server.start()])
        commands(table, few, many, options.rounds)
        for queue, target in ((few, ""), (many, "50 ms")):
            found = queue.decisions(options.decisions)
            table.times(f"end to next start, {queue.count} waiting", found, target)


def commands(table: Table, few: Queue, many: Queue, rounds: int) -> None:
    contestants = {"bare": lambda: timed(BARE, few.server.env)}
    known = [words for words in _COMMANDS if knows(few.server, words)]
    for queue in (few, many):
        api = queue.api()
        contestants[f"foundations submit, {queue.count} waiting"] = queue.submit
        contestants[f"request of the list, {queue.count} waiting"] = in_process(api.jobs)
        contestants[f"request of the queue, {queue.count} waiting"] = in_process(api.queue)
        for words in known:
            contestants[f"foundations {words[0]}, {queue.count} waiting"] = queue.command(words)
    times = take_turns(rounds, contestants)
    table.unit = statistics.median(times["bare"])
    table.times("python -c pass, between the following", times["bare"])
    for name in sorted(times):
        if name != "bare":
            table.times(name, times[name], "as with few")


def in_process(call: Callable[[], object]) -> Callable[[], float]:
    def measured() -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    return measured


def knows(server: Server, words: Sequence[str]) -> bool:
    """Whether this version has the command."""
    done = subprocess.run([FOUNDATIONS, *words], env=server.env, capture_output=True, check=False)
    if done.returncode != 0:
        print(f"foundations {words[0]} failed: {done.stderr.decode().strip().splitlines()[-1:]}")
    return done.returncode == 0


class Queue:
    """A server, and so many jobs that wait."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.server = Server(folder / "home", "--num-cpus", "1")
        self._gate = folder / "open"
        self._gated = make_project(folder / "gated", _GATE, files=1)
        self._short = make_project(folder / "short", "print('done')\n", files=1)

    def fill(self) -> None:
        """Submit one job that holds the CPU and one that waits, and copy that one."""
        self.server.start()
        self._send(self._gated, "main.py", str(self._gate))
        self.submit()
        wait_until(self._holds, timeout=30)
        self.server.stop()
        copy_last_job(self.server.home / "database" / "atlas.db", self.count - 1)

    def api(self) -> Api:
        """Return a connection of this process."""
        return Api(str(self.server.state["url"]))

    def submit(self) -> float:
        """Return the seconds of the command with streaming off."""
        return self._send(self._short, "main.py")

    def command(self, words: Sequence[str]) -> Callable[[], float]:
        return lambda: timed([FOUNDATIONS, *words], self.server.env)

    def decisions(self, count: int) -> list[float]:
        """Let jobs run; return the seconds from each one's end to the next one's beginning."""
        self._gate.touch()
        query = "SELECT created_at, ended_at FROM attempts WHERE ended_at IS NOT NULL ORDER BY id"
        wait_until(lambda: len(self._rows(query)) > count, timeout=120, pause=0.5)
        rows = self._rows(query)
        self.server.end_everything()
        return [after[0] - before[1] for before, after in itertools.pairwise(rows)]

    def _send(self, project: Path, *command: str) -> float:
        words = ["submit", "--stream-job-logs", "False", "scheduler", ".", *command]
        return timed([FOUNDATIONS, *words], self.server.env, project)

    def _holds(self) -> bool:
        return self._rows("SELECT state FROM jobs ORDER BY id")[0][0] == "running"

    def _rows(self, query: str) -> list[tuple]:
        path = self.server.home / "database" / "atlas.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            return database.execute(query).fetchall()


def copy_last_job(path: Path, count: int) -> None:
    """Add `count` jobs like the last one: ten users, five sizes of which no two fit at once."""
    source = random.Random(7)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.row_factory = sqlite3.Row
        model = dict(database.execute("SELECT * FROM jobs ORDER BY id DESC LIMIT 1").fetchone())
        del model["id"]
        names = ", ".join(f'"{name}"' for name in model)
        jobs, events = [], []
        for number in range(count):
            job = {
                **model,
                "job_id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
                "user": f"user-{number % 10}",
                "cpus": source.choice((0.6, 0.7, 0.8, 0.9, 1.0)),
                "submitted_at": model["submitted_at"] + number * 1e-3,
                "queued_at": model["queued_at"] + number * 1e-3,
            }
            jobs.append(tuple(job.values()))
            events.append((time.time(), "job.state", job["job_id"], '{"state": "queued"}'))
        holders = ", ".join("?" * len(model))
        database.executemany(f"INSERT INTO jobs ({names}) VALUES ({holders})", jobs)
        database.executemany(
            "INSERT INTO events (time, kind, job_id, payload) VALUES (?, ?, ?, ?)", events
        )


if __name__ == "__main__":
    main()
