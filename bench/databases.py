"""What PostgreSQL costs and gives beside SQLite: submitting, listing, taking metrics in.

createdb bench
python bench/databases.py postgresql:///bench [--rounds N] [--clients N]

Two servers, one on each database, are asked over HTTP in turn. The database has to be empty.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from side_by_side import running_server, temporary_folder

from foundations.client.api import Api
from foundations.contract.manifest import encode
from foundations.ids import new_job_id

POINTS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="an empty PostgreSQL database")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--clients", type=int, default=8, help="at once; default 8")
    options = parser.parse_args()
    with temporary_folder() as folder:
        (folder / "sqlite").mkdir()
        (folder / "postgres").mkdir()
        with (
            running_server(folder / "sqlite", "--num-cpus", "1") as sqlite,
            running_server(
                folder / "postgres", "--num-cpus", "1", "--database-url", options.url
            ) as postgres,
        ):
            sides = {
                "SQLite": Side(str(sqlite.state["url"])),
                "PostgreSQL": Side(str(postgres.state["url"])),
            }
            print(f"{'':44}{'SQLite':>12}{'PostgreSQL':>12}{'ratio':>8}")
            for what, unit, measure in (
                ("jobs submitted, one client", "/s", lambda side: side.submit(1, 100)),
                (f"the same, {options.clients} clients", "/s",
                 lambda side: side.submit(options.clients, 25)),
                ("20 newest of them", "/s", lambda side: side.list(30)),
                ("points taken in, one job", "/s", lambda side: side.log(1, 20)),
                (f"the same, {options.clients} jobs", "/s",
                 lambda side: side.log(options.clients, 5)),
            ):  # fmt: skip
                compare(what, unit, measure, sides, options.rounds)


def compare(
    what: str,
    unit: str,
    measure: Callable[[Side], float],
    sides: dict[str, Side],
    rounds: int,
) -> None:
    """Print the median of some rounds, in each of which both sides have their turn."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name in sorted(sides, reverse=bool(number % 2)):
            rate = measure(sides[name])
            if number:  # the first one warms up
                rates[name].append(rate)
    found = [statistics.median(rates[name]) for name in sides]
    print(
        f"{what:44}{found[0]:>10,.0f}{unit}{found[1]:>10,.0f}{unit}{found[1] / found[0]:>8.2f}",
        flush=True,
    )


class Side:
    """One of the servers."""

    def __init__(self, url: str) -> None:
        self._url = url
        api = Api(url)
        self._bundle, _ = api.send_manifest(encode([]))
        self._spec: dict[str, Any] = {
            "project": "bench",
            "bundle": self._bundle,
            "command": ["main.py"],
            "user": "bench",
            # All that the servers have, which one job has already: the others wait.
            "resources": {"cpus": 1},
            "params": {"depth": 3, "learning_rate": 0.1, "optimizer": "adam"},
            "tags": {"kind": "bench"},
        }
        holder = {**self._spec, "project": "holder", "entrypoint": ["sleep"], "command": ["3600"]}
        held = api.submit(holder, new_job_id())["job_id"]
        while api.job(held)["state"] != "running":
            time.sleep(0.05)
        api.close()

    def submit(self, clients: int, each: int) -> float:
        """Submit jobs and return how many a second; they are stopped afterwards."""

        def one(api: Api, _: int) -> None:
            api.submit(self._spec, new_job_id())

        rate = self._rate(clients, each, one)
        api = Api(self._url)
        api.connection.call("DELETE", "/api/v1/queue?project=bench")
        api.close()
        return rate

    def list(self, each: int) -> float:
        """Ask for tables and return how many a second."""

        def one(api: Api, _: int) -> None:
            api.jobs(project="bench", limit=20)

        return self._rate(1, each, one)

    def log(self, clients: int, each: int) -> float:
        """Report metrics as runners do, of a job each; return how many points a second."""
        now = time.time()

        def taken(api: Api) -> dict[str, Any]:
            told = {
                "job_id": new_job_id(),
                "spec": self._spec,
                "started_at": now,
                "instance": "",
            }
            return api.connection.call("POST", "/api/v1/jobs/executed", told)

        def prepare(api: Api) -> tuple[dict[str, Any], Api]:
            known = taken(api)
            return known, Api(self._url, known["token"])

        def one(state: tuple[dict[str, Any], Api], number: int) -> None:
            known, api = state
            first = number * POINTS + 1
            lines = [
                {"n": n, "t": now, "k": "metric", "key": f"m{n % 5}", "value": n / 7, "step": n}
                for n in range(first, first + POINTS)
            ]
            api.report({
                "attempt": known["attempt"], "instance": known["instance"], "phase": "running",
                "journal": [{"writer": "w", "first": first, "events": lines}],
            })  # fmt: skip

        return POINTS * self._rate(clients, each, one, prepare)

    def _rate(
        self,
        clients: int,
        each: int,
        one: Callable[[Any, int], None],
        prepare: Callable[[Api], Any] = lambda api: api,
    ) -> float:
        apis = [Api(self._url) for _ in range(clients)]
        states = [prepare(api) for api in apis]
        begin = threading.Barrier(clients + 1)
        failed: list[BaseException] = []

        def work(state: Any) -> None:
            begin.wait()
            try:
                for number in range(each):
                    one(state, number)
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=work, args=(state,)) for state in states]
        for thread in threads:
            thread.start()
        begin.wait()
        start = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        for api in apis:
            api.close()
        if failed:
            raise SystemExit(f"A request failed: {failed[0]}")
        return clients * each / seconds


if __name__ == "__main__":
    main()
