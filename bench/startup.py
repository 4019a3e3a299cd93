"""What it costs to start: the command line, the import, the server; and the server's idling.

python bench/startup.py [--rounds N] [--starts N] [--idle SECONDS]
"""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

import psutil
from side_by_side import (
    BARE,
    FOUNDATIONS,
    PYTHON,
    Server,
    Table,
    arguments,
    environment,
    running_server,
    take_turns,
    temporary_folder,
    timed,
)

_MB = 1024 * 1024


def main() -> None:
    options = arguments(__doc__, rounds=20, starts=5, idle=10)
    with temporary_folder() as folder:
        table = commands(folder, options.rounds)
        starts(table, folder, options.starts)
        with running_server(folder / "idle") as server:
            idle(table, server, options.idle)


def commands(folder: Path, rounds: int) -> Table:
    env = environment(folder)
    times = take_turns(
        rounds,
        {
            "bare": lambda: timed(BARE, env),
            "help": lambda: timed([FOUNDATIONS, "--help"], env),
            "import": lambda: timed([PYTHON, "-c", "import foundations"], env),
            "empty": lambda: timed([PYTHON, str(script(folder, "pass"))], env),
            "by hand": lambda: timed([PYTHON, str(script(folder, "import foundations"))], env),
        },
    )
    inside = [import_inside(folder, env) for _ in range(rounds)]
    table = Table(statistics.median(times["bare"]))
    table.times("python -c pass (the unit)", times["bare"])
    table.times("foundations --help", times["help"], "2.5 units")
    table.times("import foundations, added", times["import"], "0.5 units", less=times["bare"])
    table.times("a script that is a job by it, added", times["by hand"], less=times["empty"])
    table.times("... of which the import", inside, "25 ms")
    return table


def script(folder: Path, text: str) -> Path:
    """Write a script into a folder of its own: what lies there is kept with the job."""
    path = folder / str(len(text)) / "main.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")
    return path


def import_inside(folder: Path, env: dict[str, str]) -> float:
    """Return the seconds that the import takes in a script that becomes a job by it."""
    time.sleep(0.3)  # the code of the job before is being kept still
    measures = (
        "import time\nb = time.perf_counter()\nimport foundations\nprint(time.perf_counter() - b)"
    )
    done = subprocess.run(
        [PYTHON, str(script(folder, measures))], env=env, capture_output=True, check=True
    )
    return float(done.stdout)


def starts(table: Table, folder: Path, count: int) -> None:
    first, later = [], []
    with running_server(folder / "warm"):
        pass
    for number in range(count):
        server = Server(folder / f"home-{number}")
        try:
            for times in (first, later):
                times.append(server.start())
                server.stop()
        finally:
            server.end_everything()
    table.times("server ready, first start of a home", first, "1500 ms")
    table.times("server ready, later starts", later, "1500 ms")


def idle(table: Table, server: Server, seconds: int) -> None:
    time.sleep(2)  # what start-up left to do is done
    process = psutil.Process(server.pid)
    for name, one in [("server", process), *(("fork server", it) for it in process.children())]:
        before = sum(one.cpu_times()[:2])
        memory = one.memory_full_info()
        target = "120 MB" if name == "server" else ""
        table.figure(
            f"{name}, idle: PSS (RSS)",
            f"{memory.pss / _MB:.0f} ({memory.rss / _MB:.0f}) MB",
            target,
        )
        if name == "server":
            started = before
    time.sleep(seconds)
    used = sum(process.cpu_times()[:2]) - started
    table.figure(f"server, idle: CPU over {seconds} s", f"{100 * used / seconds:.2f} %", "1 %")


if __name__ == "__main__":
    main()
