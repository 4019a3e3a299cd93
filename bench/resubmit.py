"""A large folder submitted again after one of its files has changed.

    python bench/resubmit.py [--files N] [--megabytes N] [--rounds N]

The time is of the whole command with streaming off, so until after "submitted". A job that waits
for a file holds the only CPU, so that nothing else runs meanwhile. At the end one of the submitted
jobs runs, and what its folder takes on the disk is shown too.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from pathlib import Path

from side_by_side import (
    BARE,
    FOUNDATIONS,
    Server,
    Table,
    adopt_environment,
    arguments,
    disk_use,
    make_project,
    running_server,
    take_turns,
    temporary_folder,
    timed,
    wait_until,
)

_MB = 1024 * 1024
_GATE = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]):\n    time.sleep(0.05)\n"


def main() -> None:
    options = arguments(__doc__, rounds=7, files=10_000, megabytes=1000)
    with (
        temporary_folder() as folder,
        running_server(folder / "home", "--num-cpus", "1") as server,
    ):
        gate = folder / "open"
        blocker = make_project(folder / "blocker", _GATE, files=1)
        submit(server, blocker, "main.py", str(gate))
        big = make_big(folder / "big", options.files, options.megabytes * _MB)
        first = submit(server, big, "main.py", str(folder / "finish"))
        before = disk_use(server.home / "blobs")
        changed, unchanged = Changing(server, big, folder), Changing(server, big, folder, 0)
        settle(big)
        times = take_turns(
            options.rounds,
            {
                "bare": lambda: timed(BARE, server.env),
                "small": lambda: submit(server, blocker, "main.py", str(gate)),
                "unchanged": unchanged.submit,
                "changed": changed.submit,
            },
        )
        after = disk_use(server.home / "blobs")
        table = Table(statistics.median(times["bare"]))
        table.times("python -c pass (the unit)", times["bare"])
        table.times("submit a folder of 1 file", times["small"])
        table.times(f"submit {options.files} files, first time", [first])
        table.times("  again, nothing changed", times["unchanged"])
        table.times("  again, one file changed", times["changed"], "500 ms")
        each = (after - before) / _MB / (options.rounds + 1)
        table.figure("blob store after the first", f"{before / _MB:.1f} MB")
        table.figure("  more with each changed file", f"{each:.2f} MB", "the file, a manifest")
        work = running_folder(server, folder, gate)
        table.figure("folder of a job while it runs, disk use", f"{work / _MB:.1f} MB")


def submit(server: Server, project: Path, *command: str) -> float:
    words = ["submit", "--stream-job-logs", "False", "scheduler", ".", *command]
    return timed([FOUNDATIONS, *words], server.env, project)


class Changing:
    """Changes `count` files of the folder before each submission."""

    def __init__(self, server: Server, project: Path, folder: Path, count: int = 1) -> None:
        self._server = server
        self._project = project
        self._command = ("main.py", str(folder / "finish"))
        self._count = count
        self._files = sorted(project.rglob("*.bin"))

    def submit(self) -> float:
        for path in random.sample(self._files, self._count):
            path.write_bytes(os.urandom(path.stat().st_size))
        return submit(self._server, self._project, *self._command)


def make_big(folder: Path, files: int, size: int) -> Path:
    """Fill a folder with files of equal size, a hundred in each subfolder."""
    make_project(folder, _GATE, files=1)
    each = size // files
    for number in range(files - 1):
        place = folder / f"data_{number // 100}"
        place.mkdir(exist_ok=True)
        (place / f"{number}.bin").write_bytes(os.urandom(each))
    os.sync()
    return folder


def settle(folder: Path) -> None:
    """Wait until every file is old enough for its time to tell whether it changes again."""
    newest = max(path.stat().st_mtime for path in folder.rglob("*"))
    time.sleep(max(0.0, newest + 3 - time.time()))
    # The files that were too young for it are remembered now.


def running_folder(server: Server, folder: Path, gate: Path) -> int:
    """Let a job of the big folder run and return what its folder takes."""
    adopt_environment(server.home)
    from foundations import config  # noqa: PLC0415 - it reads the environment that was set for it
    from foundations.client.server import connect  # noqa: PLC0415

    api = connect(config.scheduler("scheduler"))
    gate.touch()

    def big_one_runs() -> bool:
        rows = api.jobs(status="running")["jobs"]
        return any(row["project"] == "big" for row in rows)

    wait_until(big_one_runs, timeout=120)
    used = disk_use(server.home / "work")
    api.clear_queue()
    (folder / "finish").touch()
    wait_until(lambda: not api.jobs(status="running")["jobs"], timeout=60)
    return used


if __name__ == "__main__":
    main()
