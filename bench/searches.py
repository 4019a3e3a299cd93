"""Searches: a trial's end to the next one's start, many jobs of a large folder, old searches.

    python bench/searches.py [--trials N] [--sets N] [--megabytes N] [--known N]

Trials run one at a time. The gap is from the end of one's process to the start of the next one's;
from the last line of a script to the first line of the next one's, it has the end of an interpreter
and the start of another in it. The folder is read and sent before the sets of parameters are.
Samplers are asked with trials that have been told to them.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import subprocess
import time
from pathlib import Path

from side_by_side import (
    BARE,
    FOUNDATIONS,
    PYTHON,
    Server,
    Table,
    adopt_environment,
    arguments,
    disk_use,
    environment,
    make_project,
    running_server,
    temporary_folder,
    timed,
)

from atlas_server.domain.search.definition import read_definition
from atlas_server.domain.search.ports import Known, TrialState
from atlas_server.samplers.registry import make_study
from foundations.client.api import Api

_TRIAL = """
import time
begin = time.time()
import foundations
x = foundations.load_parameters()["x"]
for step in range(3):
    foundations.log_metric("loss", x * x, step=step)
foundations.log_metric("begin", begin)
foundations.log_metric("end", time.time())
"""
_SUBMIT = """
import foundations, sys, time
params = [{"lr": n} for n in range(int(sys.argv[1]))]
job = foundations.submit(command=["main.py"], project_name="large")
begin = time.perf_counter()
if sys.argv[2] == "many":
    foundations.submit_many(params, command=["main.py"], project_name="large")
else:
    for each in params:
        foundations.submit(command=["main.py"], params=each, project_name="large")
print(time.perf_counter() - begin)
"""
_SPACE = {
    **{f"x{n}": {"min": 0.0, "max": 1.0} for n in range(8)},
    "kind": ["a", "b", "c"],
    "more": {"min": 1, "max": 9, "when": {"kind": "a"}},
}


def main() -> None:
    options = arguments(__doc__, rounds=1, trials=30, sets=1000, megabytes=1000, known=10_000)
    table = Table(statistics.median([timed(BARE, environment()) for _ in range(5)]))
    with temporary_folder() as folder, running_server(folder / "home", "--num-cpus", "2") as server:
        adopt_environment(server.home)
        for sampler in ("random", "tpe"):
            processes, lines = gaps(server, folder / sampler, sampler, options.trials)
            table.times(f"end of a trial to the next, {sampler}", processes, "100 ms")
            table.times("  from line to line of their scripts", lines)
    with temporary_folder() as folder, running_server(folder / "home", "--num-cpus", "1") as server:
        project = make_project(folder / "large", "import time\ntime.sleep(3600)\n")
        with (project / "data.bin").open("wb") as file:
            for _ in range(options.megabytes):
                file.write(random.randbytes(1 << 20))
        submitted(server, project, 1, "many")
        before = disk_use(server.home / "blobs")
        for how in ("many", "one by one"):
            table.times(f"{options.sets} sets of {options.megabytes} MB, {how}",
                        [submitted(server, project, options.sets, how)], "2 s")  # fmt: skip
        grown = (disk_use(server.home / "blobs") - before) / 1e6
        table.figure("  the stored content has grown by", f"{grown:.1f} MB", "no copy")
    for sampler in ("random", "tpe", "cmaes", "qmc", "nsga2"):
        asked(table, sampler, options.known)


def gaps(server: Server, folder: Path, sampler: str, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds between trials of one search: of their processes, of their scripts."""
    make_project(folder, _TRIAL)
    space = {"command": "main.py", "metric": "loss", "sampler": sampler, "concurrency": 1,
             "parameters": {"x": {"min": -1.0, "max": 1.0}},
             "budget": {"trials": count}}  # fmt: skip
    (folder / "space.yaml").write_text(json.dumps(space))
    timed([FOUNDATIONS, "search", "start", "--name", sampler, "space.yaml"], server.env, folder)
    api = Api(str(server.state["url"]))
    for _ in api.search_stream(sampler):
        pass
    jobs = [api.job(trial["job_id"]) for trial in api.search(sampler, "/trials")["trials"]]
    processes, lines = [], []
    for one, following in itertools.pairwise(jobs):
        processes.append(following["started_at"] - one["finished_at"])
        begin, end = following["metrics"]["begin"]["value"], one["metrics"]["end"]["value"]
        lines.append(begin - end)
    return processes, lines


def submitted(server: Server, project: Path, count: int, how: str) -> float:
    command = [PYTHON, "-c", _SUBMIT, str(count), how]
    done = subprocess.run(command, env=server.env, cwd=project, capture_output=True, text=True,
                          check=True)  # fmt: skip
    return float(done.stdout.split()[-1])


def asked(table: Table, sampler: str, count: int) -> None:
    """Show how long it takes to make a study with so many trials, and to ask it."""
    said = {"parameters": _SPACE, "metric": "loss", "sampler": sampler, "budget": {"time": 9}}
    search = read_definition(said)
    chance = make_study(read_definition({**said, "sampler": "random"}), ())
    known = []
    for number in range(count):
        point = chance.ask(number)
        assert point is not None
        known.append(Known(number, TrialState.COMPLETED, point, [point["x0"] - point["x1"]]))
    begin = time.perf_counter()
    study = make_study(search, known)
    made = time.perf_counter() - begin
    seconds = []
    for number in range(count, count + 10):
        begin = time.perf_counter()
        study.ask(number)
        study.tell(number, TrialState.COMPLETED, [0.5])
        seconds.append(time.perf_counter() - begin)
    table.times(f"{sampler} with {count} trials, the next one", seconds, "1 s")
    table.times("  the study made anew, at the server's start", [made])


if __name__ == "__main__":
    main()
