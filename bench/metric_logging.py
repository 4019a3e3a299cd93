"""What one call of log_metric costs the training program, beside writing such a line by hand.

python bench/metric_logging.py [--calls N] [--rounds N]
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

from side_by_side import (
    BARE,
    Table,
    adopt_environment,
    arguments,
    environment,
    temporary_folder,
    timed,
)

_LINE = b'{"n":1000,"t":1700000000.0000001,"k":"metric","key":"loss","value":0.125,"step":1000}\n'


def main() -> None:
    options = arguments(__doc__, rounds=5, calls=20_000)
    with temporary_folder() as folder:
        (folder / "journal").mkdir()
        adopt_environment(folder)
        os.environ.update(FOUNDATIONS_ATTEMPT_DIR=str(folder), FOUNDATIONS_JOB_ID="bench")
        import foundations  # noqa: PLC0415 - it reads the environment that was set for it

        by_hand = os.open(folder / "by-hand", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        one = calls(lambda number: os.write(by_hand, _LINE), 1000)
        ours = calls(lambda number: foundations.log_metric("loss", 0.125, step=number), 1000)
        bare: list[float] = []
        for _ in range(options.rounds):
            bare.append(timed(BARE, environment()))
            each = options.calls // options.rounds
            one += calls(lambda number: os.write(by_hand, _LINE), each)
            ours += calls(lambda number: foundations.log_metric("loss", 0.125, step=number), each)
        os.close(by_hand)
        written = sum(path.read_bytes().count(b"\n") for path in (folder / "journal").iterdir())
        show(Table(statistics.median(bare)), bare, one, ours)
        if written != len(ours):
            raise SystemExit(f"{len(ours)} calls, but {written} lines in the journal.")


def calls(call: Callable[[int], object], count: int) -> list[float]:
    times = []
    for number in range(count):
        begin = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - begin)
    return times


def show(table: Table, bare: list[float], one: list[float], ours: list[float]) -> None:
    table.times("python -c pass (the unit)", bare)
    for name, times in (("os.write of such a line", one), ("log_metric", ours)):
        p99 = statistics.quantiles(times, n=100)[98]
        middle = statistics.median(times)
        table.figure(f"{name}: median", f"{middle * 1e6:.1f} us")
        table.figure(f"{name}: 99th percentile", f"{p99 * 1e6:.1f} us")


if __name__ == "__main__":
    main()
