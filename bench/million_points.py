"""From the last call of log_metric until all points of a job can be queried.

python bench/million_points.py [--points N] [--rounds N]
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from side_by_side import FOUNDATIONS, Table, arguments, make_project, running_server
from side_by_side import temporary_folder as temporary

from foundations.client.api import Api

_SCRIPT = """
import foundations, sys, time
count = int(sys.argv[1])
begin = time.perf_counter()
for step in range(count):
    foundations.log_metric("loss", step * 0.5, step=step)
print(time.perf_counter() - begin, time.time(), flush=True)
time.sleep(300)
"""


def main() -> None:
    options = arguments(__doc__, rounds=2, points=1_000_000)
    logging, waiting = [], []
    with temporary() as folder, running_server(folder / "home", "--num-cpus", "2") as server:
        project = make_project(folder / "project", _SCRIPT, files=1)
        api = Api(str(server.state["url"]))
        for _ in range(options.rounds):
            logged, waited = measured(api, server.env, project, options.points)
            logging.append(logged)
            waiting.append(waited)
    table = Table(1.0)
    table.times(f"{options.points} calls", logging)
    table.times("until they can be queried", waiting, "10 s")


def measured(api: Api, env: dict[str, str], project: Path, count: int) -> tuple[float, float]:
    command = [FOUNDATIONS, "submit", "--quiet", "--stream-job-logs", "False", "scheduler"]
    done = subprocess.run(
        [*command, str(project), "main.py", str(count)], env=env, capture_output=True, check=True
    )
    job = done.stdout.decode().strip()
    while api.job(job)["metrics"].get("loss", {}).get("count") != count:
        time.sleep(0.05)
    now = time.time()
    line = b"".join(api.logs(job)).decode().splitlines()[-1]
    logged, ended = map(float, line.split())
    api.stop(job)
    return logged, now - ended


if __name__ == "__main__":
    main()
