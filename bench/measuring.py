"""What measuring a job costs, in shares of one core.

python bench/measuring.py [--processes N] [--threads N] [--looks N] [--rounds N]

The job is a tree of processes like a training with data loaders: each has many threads.
"""

from __future__ import annotations

import statistics
import subprocess
import time

from side_by_side import BARE, PYTHON, Table, arguments, environment, timed

from atlas_runner.descendants import with_descendants
from atlas_runner.measuring import Meter

from foundations.execution.usage import LONGEST_PAUSE

_TREE = """
import os, sys, threading, time
processes, threads = map(int, sys.argv[1:])
for _ in range(processes - 1):
    if not os.fork():
        break
for _ in range(threads - 1):
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
print("there", flush=True)
time.sleep(3600)
"""


def main() -> None:
    options = arguments(__doc__, rounds=5, processes=17, threads=32, looks=100)
    unit = [timed(BARE, environment()) for _ in range(5)]
    table = Table(statistics.median(unit))
    table.times("python -c pass (the unit)", unit)
    command = [PYTHON, "-c", _TREE, str(options.processes), str(options.threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tree:
        try:
            assert tree.stdout is not None
            for _ in range(options.processes):
                tree.stdout.readline()
            costs = [cost(tree.pid, options.looks) for _ in range(options.rounds)]
        finally:
            for pid in with_descendants([tree.pid]):
                subprocess.run(["kill", "-9", str(pid)], check=False)
    name = f"one look at {options.processes} processes of {options.threads} threads"
    table.times(name, costs)
    share = statistics.median(costs) / LONGEST_PAUSE
    table.figure("share of a core", f"{share:.2%}", "1 %")


def cost(pid: int, looks: int) -> float:
    """Return the CPU seconds of one look."""
    meter = Meter(pid)
    begin = time.process_time()
    for _ in range(looks):
        meter.read(with_descendants([pid]))
    return (time.process_time() - begin) / looks


if __name__ == "__main__":
    main()
