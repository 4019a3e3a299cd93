"""Atlas on Slurm beside Slurm alone: how much later a job starts, and how long many take.

    .venv/bin/python bench/slurm.py [--each 20] [--many 200 1000]

Starts a cluster of two nodes on this machine (tests/slurm.py; needs root and Debian's Slurm), and
takes turns, so that whatever else the machine does meets all of them. Slurm looks at its queue once
a second: pauses of random length keep either side from always meeting the same moment of it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.live import LiveServer
from tests.slurm import SlurmCluster

from foundations.sending import new_job_id

MAIN = "import sys, time\nopen(sys.argv[1], 'w').write(str(time.time()))\n"


KINDS = {
    "Atlas": "arrays: false",
    "Atlas with arrays": "arrays: true",
    "Atlas with pilots": "pilots: {most: 2, cpus: 16, idle: 15}",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--many", type=int, nargs="*", default=[200, 1000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = root / "project"
        folder.mkdir()
        (folder / "main.py").write_text(MAIN)
        with SlurmCluster(root / "slurm") as cluster, ExitStack() as stack:
            servers = {
                kind: stack.enter_context(a_server(root / kind.replace(" ", "-"), cluster, said))
                for kind, said in KINDS.items()
            }
            if arguments.each:
                one_by_one(cluster, servers, folder, root, arguments.each)
            for count in arguments.many:
                many(cluster, servers, folder, root, count)


def a_server(root: Path, cluster: SlurmCluster, said: str) -> LiveServer:
    (root / "home" / "config").mkdir(parents=True)
    settings = f"executors:\n  slurm:\n    {said}\n"
    (root / "home" / "config" / "server.config.yaml").write_text(settings)
    environment = {"SLURM_CONF": str(cluster.conf)}
    return LiveServer(root, 2, {"executors": "slurm"}, environment)


def one_by_one(
    cluster: SlurmCluster, servers: dict[str, LiveServer], folder: Path, root: Path, count: int
) -> None:
    """From submitting to the first statement of the program, by turns."""
    taken: dict[str, list[float]] = {name: [] for name in ("sbatch", *servers)}
    for number in range(count + 1):
        for kind, waits in taken.items():
            time.sleep(2.0 + random.random())  # Slurm looks more seldom at once after a job
            mark = root / f"{kind}-{number}"
            begun = time.time()
            if kind == "sbatch":
                batch(cluster, folder, str(mark))
            else:
                servers[kind].send(folder, "main.py", str(mark))
            while not mark.exists() or not mark.read_text():
                time.sleep(0.005)
            if number:  # the first one of each finds nothing ready
                waits.append(float(mark.read_text()) - begun)
    bare = statistics.median(taken["sbatch"])
    for kind, waits in taken.items():
        middle = statistics.median(waits)
        spread = f"{min(waits):.2f} to {max(waits):.2f}"
        print(
            f"{kind}: submitted to first statement {middle:.2f} s ({spread}),"
            f" {1000 * (middle - bare):+.0f} ms (medians of {count})"
        )


def many(
    cluster: SlurmCluster, servers: dict[str, LiveServer], folder: Path, root: Path, count: int
) -> None:
    """Many short jobs at once, from the first submission to the last one's first statement."""
    time.sleep(20)  # pilots of before make room
    place = root / f"many-{count}"
    place.mkdir()

    def timed(what: str, name: str, submit: Callable[[], object]) -> None:
        before, begun = batch_jobs(cluster), time.time()
        submit()
        await_files(place, f"{name}-*", count)
        took = time.time() - begun
        print(f"{count} {what}: {took:.1f} s", end=", ")
        print(f"times sbatch: {len(batch_jobs(cluster) - before)}", flush=True)

    script = (
        f"#!/bin/sh\nexec {sys.executable} {folder}/main.py {place}/array-$SLURM_ARRAY_TASK_ID\n"
    )

    def loop() -> None:
        for number in range(count):
            batch(cluster, folder, f"{place}/sbatch-{number}")

    timed(
        "elements of a Slurm array", "array", lambda: sbatch(cluster, script, f"--array=1-{count}")
    )
    timed("times sbatch", "sbatch", loop)
    for number, (kind, server) in enumerate(servers.items()):
        mark = f"{place}/job{number}"
        timed(
            f"jobs, {kind}", f"job{number}", lambda s=server, m=mark: a_batch(s, folder, m, count)
        )


def a_batch(server: LiveServer, folder: Path, mark: str, count: int) -> None:
    bundle = server.job(server.send(folder, "main.py", "/dev/null"))["bundle"]
    command = f'exec {sys.executable} main.py "{mark}-$FOUNDATIONS_JOB_ID"'
    spec = {
        "project": "many",
        "bundle": bundle,
        "entrypoint": ["sh", "-c", command],
        "interpreter": sys.executable,
        "user": "bench",
        "resources": {"cpus": 1},
    }
    server.api().submit_batch(
        spec, [{"job_id": new_job_id(), "params": None} for _ in range(count)]
    )


def batch_jobs(cluster: SlurmCluster) -> set[str]:
    """What was submitted to Slurm: batch jobs and arrays."""
    listed = cluster.command("squeue", "-h", "-t", "all", "-o", "%F")
    return set(listed.split())


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
