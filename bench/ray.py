"""Atlas on Ray beside Ray alone: how much later a job starts, and how long several take.

    .venv/bin/python bench/ray.py [--each 10] [--many 40] [--short 400]

The last figure is of jobs that share two pilots.

Starts a cluster of two nodes on this machine (tests/ray.py; scripts/ray-environment makes its Ray),
and takes turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.live import LiveServer
from tests.ray import CPUS, RayCluster, serving

from foundations.sending import new_job_id

MAIN = "import sys, time\nopen(sys.argv[1], 'w').write(str(time.time()))\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--many", type=int, default=40)
    parser.add_argument("--short", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, RayCluster() as ray:
        root = Path(place)
        folder = root / "project"
        folder.mkdir()
        (folder / "main.py").write_text(MAIN)
        (root / "atlas").mkdir()
        (root / "pilots").mkdir()
        with serving(ray, root / "atlas") as server:
            one_by_one(ray, server, folder, root, arguments.each)
            by_ray(ray, folder, root, arguments.many)
            by_atlas(server, folder, root, "jobs", arguments.many)
        with serving(ray, root / "pilots", pilots={"most": 2, "cpus": CPUS}) as server:
            by_atlas(server, folder, root, "jobs in pilots", arguments.short)


def one_by_one(ray: RayCluster, server: LiveServer, folder: Path, root: Path, count: int) -> None:
    """From submitting to the first statement of the program, by turns."""
    taken: dict[str, list[float]] = {"ray": [], "atlas": []}
    for number in range(count + 1):
        for kind, waits in taken.items():
            mark = root / f"{kind}-{number}"
            begun = time.time()
            if kind == "ray":
                alone(ray, folder, mark)
            else:
                server.send(folder, "main.py", str(mark))
            while not mark.exists() or not mark.read_text():
                time.sleep(0.005)
            if number:  # the first one of each finds nothing ready
                waits.append(float(mark.read_text()) - begun)
            time.sleep(1.0)
    for kind, waits in taken.items():
        spread = f"{min(waits):.2f} to {max(waits):.2f}"
        print(f"{kind}: submitted to first statement {statistics.median(waits):.2f} s ({spread})")
    added = statistics.median(taken["atlas"]) - statistics.median(taken["ray"])
    print(f"Atlas adds {1000 * added:.0f} ms (medians of {count})")


def by_ray(ray: RayCluster, folder: Path, root: Path, count: int) -> None:
    """Several short jobs at once, from the first submission to the last one's start."""
    begun = time.time()
    for number in range(count):
        alone(ray, folder, root / f"alone-{number}")
    await_files(root, "alone-*", count)
    report(f"{count} Ray jobs", count, begun)


def by_atlas(server: LiveServer, folder: Path, root: Path, what: str, count: int) -> None:
    """The same through Atlas, which has the code already."""
    first = f"{what}-first"
    bundle = server.job(server.send(folder, "main.py", f"{root}/{first}"))["bundle"]
    await_files(root, first, 1)
    begun = time.time()
    program = f'exec {sys.executable} main.py "{root}/{what}-$FOUNDATIONS_JOB_ID"'
    spec = {
        "project": "many", "bundle": bundle, "entrypoint": ["sh", "-c", program],
        "interpreter": sys.executable, "user": "bench", "resources": {"cpus": 1},
    }  # fmt: skip
    jobs = [{"job_id": new_job_id(), "params": None} for _ in range(count)]
    server.api().submit_batch(spec, jobs)
    await_files(root, f"{what}-*", count + 1)
    report(f"{count} {what} through Atlas", count, begun)


def report(what: str, count: int, begun: float) -> None:
    took = time.time() - begun
    print(f"{what}: {took:.1f} s, {count / took:.1f} a second", flush=True)


def alone(ray: RayCluster, folder: Path, mark: Path) -> None:
    words = f"exec {sys.executable} {folder}/main.py {mark}"
    assert ray.ask("POST", "/api/jobs/", {"entrypoint": words, "entrypoint_num_cpus": 1})


def await_files(root: Path, pattern: str, count: int) -> None:
    while sum(1 for _ in root.glob(pattern)) < count:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
