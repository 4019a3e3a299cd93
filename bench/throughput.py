"""Many one-line Python jobs on two CPUs, against `xargs -P2 python main.py`.

    python bench/throughput.py [N] [--rounds N]

The jobs are submitted by `foundations.submit(...)` from this one process. Half of xargs' share
runs before the jobs and half after, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from pathlib import Path

from side_by_side import (
    BARE,
    PYTHON,
    Server,
    Table,
    adopt_environment,
    make_project,
    running_server,
    temporary_folder,
    timed,
    wait_until,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000, metavar="N")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with temporary_folder() as folder:
        project = make_project(folder / "project", "print('done')\n", files=1)
        with running_server(folder / "home", "--num-cpus", "2") as server:
            adopt_environment(server.home)
            submit_and_wait(project, 4)  # warm up
            bare = [timed(BARE, server.env) for _ in range(5)]
            rates, submits, others = [], [], []
            for _ in range(options.rounds):
                seconds = with_xargs(server, project, options.count // 2)
                submitting, whole = submit_and_wait(project, options.count)
                seconds += with_xargs(server, project, options.count - options.count // 2)
                bare += [timed(BARE, server.env) for _ in range(5)]
                rates.append(options.count / whole)
                submits.append(options.count / submitting)
                others.append(options.count / seconds)
            show(Table(statistics.median(bare)), bare, options.count, rates, submits, others)


def show(
    table: Table,
    bare: list[float],
    count: int,
    rates: list[float],
    submits: list[float],
    others: list[float],
) -> None:
    ratios = [ours / theirs for ours, theirs in zip(rates, others, strict=True)]
    table.times("python -c pass (the unit)", bare)
    table.figure(f"xargs -P2 python main.py, {count} times", f"{statistics.median(others):.1f} /s")
    table.figure(
        "foundations.submit() calls, while jobs run", f"{statistics.median(submits):.1f} /s"
    )
    table.figure(f"{count} jobs, first submit to last end", f"{statistics.median(rates):.1f} /s")
    table.figure("  ratio of the rates", f"{statistics.median(ratios):.2f}", "0.50")


def with_xargs(server: Server, project: Path, count: int) -> float:
    numbers = "\n".join(str(number) for number in range(count))
    begin = time.perf_counter()
    subprocess.run(
        ["xargs", "-P2", "-n1", PYTHON, "main.py"],
        input=numbers.encode(),
        env=server.env,
        cwd=project,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begin


def submit_and_wait(project: Path, count: int) -> tuple[float, float]:
    """Return the seconds until the last job was accepted, and until all were completed."""
    import foundations  # noqa: PLC0415 - it reads the environment that was set for it
    from foundations import config  # noqa: PLC0415
    from foundations.client.server import connect  # noqa: PLC0415

    api = connect(config.scheduler("scheduler"))
    already = api.server()["jobs"].get("completed", 0)
    begin = time.perf_counter()
    for _ in range(count):
        foundations.submit("scheduler", str(project), command=["main.py"])
    submitting = time.perf_counter() - begin

    def all_over() -> bool:
        found = api.server()["jobs"]
        if found.get("failed"):
            raise SystemExit(f"{found['failed']} of the jobs failed.")
        return found.get("completed", 0) - already == count

    wait_until(all_over, timeout=60 + count, pause=0.1)
    return submitting, time.perf_counter() - begin


if __name__ == "__main__":
    main()
