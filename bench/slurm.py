"""Atlas on Slurm beside Slurm alone: how much later a job starts, and how long many take.

    .venv/bin/python bench/slurm.py [--each 10] [--many 200]

Starts a cluster of two nodes on this machine (tests/slurm.py; needs root and Debian's Slurm), and
takes turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.live import LiveServer
from tests.slurm import SlurmCluster

from foundations.sending import new_job_id

MAIN = "import sys, time\nopen(sys.argv[1], 'w').write(str(time.time()))\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--many", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = root / "project"
        folder.mkdir()
        (root / "atlas").mkdir()
        (folder / "main.py").write_text(MAIN)
        with SlurmCluster(root / "slurm") as cluster:
            environment = {"SLURM_CONF": str(cluster.conf)}
            settings = {"executors": "slurm"}
            with LiveServer(root / "atlas", 2, settings, environment) as server:
                one_by_one(cluster, server, folder, root, arguments.each)
                many(cluster, server, folder, root, arguments.many)


def one_by_one(
    cluster: SlurmCluster, server: LiveServer, folder: Path, root: Path, count: int
) -> None:
    """From submitting to the first statement of the program, by turns."""
    taken: dict[str, list[float]] = {"sbatch": [], "atlas": []}
    for number in range(count + 1):
        for kind, waits in taken.items():
            mark = root / f"{kind}-{number}"
            begun = time.time()
            if kind == "sbatch":
                batch(cluster, folder, str(mark))
            else:
                server.send(folder, "main.py", str(mark))
            while not mark.exists() or not mark.read_text():
                time.sleep(0.005)
            if number:  # the first one of each finds nothing ready
                waits.append(float(mark.read_text()) - begun)
            time.sleep(0.3)
    for kind, waits in taken.items():
        spread = f"{min(waits):.2f} to {max(waits):.2f}"
        print(f"{kind}: submitted to first statement {statistics.median(waits):.2f} s ({spread})")
    added = statistics.median(taken["atlas"]) - statistics.median(taken["sbatch"])
    print(f"Atlas adds {1000 * added:.0f} ms (medians of {count})")


def many(cluster: SlurmCluster, server: LiveServer, folder: Path, root: Path, count: int) -> None:
    """Many short jobs at once, from the first submission to the last end."""
    begun = time.time()
    script = (
        f"#!/bin/sh\nexec {sys.executable} {folder}/main.py {root}/array-$SLURM_ARRAY_TASK_ID\n"
    )
    sbatch(cluster, script, f"--array=1-{count}")
    await_files(root, "array-*", count)
    print(f"{count} elements of a Slurm array: {time.time() - begun:.1f} s")
    begun = time.time()
    for number in range(count):
        batch(cluster, folder, f"{root}/alone-{number}")
    await_files(root, "alone-*", count)
    print(f"{count} times sbatch: {time.time() - begun:.1f} s")
    bundle = server.job(server.send(folder, "main.py", f"{root}/first"))["bundle"]
    await_files(root, "first", 1)
    begun = time.time()
    spec = {
        "project": "many",
        "bundle": bundle,
        "entrypoint": [
            "sh",
            "-c",
            f'exec {sys.executable} main.py "{root}/job-$FOUNDATIONS_JOB_ID"',
        ],
        "interpreter": sys.executable,
        "user": "bench",
        "resources": {"cpus": 1},
    }
    server.api().submit_batch(
        spec, [{"job_id": new_job_id(), "params": None} for _ in range(count)]
    )
    await_files(root, "job-*", count)
    print(f"{count} jobs through Atlas: {time.time() - begun:.1f} s")


def batch(cluster: SlurmCluster, folder: Path, mark: str) -> None:
    sbatch(cluster, f"#!/bin/sh\nexec {sys.executable} {folder}/main.py {mark}\n")


def sbatch(cluster: SlurmCluster, script: str, *options: str) -> None:
    words = ["sbatch", "--parsable", "--chdir=/", "--output=/dev/null", "--cpus-per-task=1"]
    subprocess.run(
        [*words, *options],
        input=script,
        text=True,
        env=cluster.environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def await_files(root: Path, pattern: str, count: int) -> None:
    while sum(1 for _ in root.glob(pattern)) < count:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
