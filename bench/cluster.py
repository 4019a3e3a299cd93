"""A simulation: the real queue, placement, scheduler and database, over nodes that do not exist.

    python bench/cluster.py [--nodes N] [--jobs N] [--kinds N] [--hold SECONDS] [--sample N]

Jobs are queued as `submit_many` queues them; a simulated executor has nodes of 64 CPUs and 8 GPUs
and ends each job so many seconds after its launch with the report that a runner would send. No
engine, no network and no program takes part: this is what Atlas itself costs, and nothing else.
"""

from __future__ import annotations

import argparse
import collections
import random
import resource
import statistics
import tempfile
import threading
import time
from pathlib import Path

from placement import make_kinds, make_nodes

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.clock import SystemClock
from atlas_server.domain.limits import NO_RULES
from atlas_server.domain.placement import Policy
from atlas_server.domain.ports import ALIVE, Launch
from atlas_server.scheduler.launch import Launcher
from atlas_server.scheduler.loop import Scheduler
from atlas_server.scheduler.reconcile import Reconciler
from atlas_server.scheduler.shares import Shares
from atlas_server.services.assignments import RunnerSettings
from atlas_server.services.batches import Batches, Member
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.leadership import Alone
from atlas_server.services.leases import Leases
from atlas_server.services.meters import Meters
from atlas_server.services.runners import Runners
from atlas_server.services.snapshots import Snapshots
from atlas_server.services.whereabouts import Whereabouts
from atlas_server.store.engine import Store
from foundations.blobs import BlobDir
from foundations.contract import report as phases
from foundations.contract.manifest import encode
from foundations.contract.report import Report, Result
from foundations.contract.spec import JobSpec

_BATCH = 5000


class Simulated:
    """An executor of nodes that do not exist."""

    name = "local"

    def __init__(self, count: int, hold: float) -> None:
        self._nodes = tuple(make_nodes(count))
        self._hold = hold
        self.launched: list[float] = []
        self.running: collections.deque[tuple[float, Launch]] = collections.deque()

    def nodes(self):
        return self._nodes

    def usage(self):
        return {}

    def handle_of(self, attempt, recoveries):
        return None

    def launch(self, launch: Launch) -> str:
        now = time.monotonic()
        self.launched.append(now)
        self.running.append((now + self._hold, launch))
        return f"simulated-{launch.attempt}"

    def observe(self, handles):
        return dict.fromkeys(handles, ALIVE)

    def stop(self, handle, *, grace):
        pass


class Cluster:
    """A server without its API, and who ends the jobs."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        self.executor = executor = Simulated(options.nodes, options.hold)
        self.store, feed, clock = Store(root / "atlas.db"), Feed(), SystemClock()
        bundles = Bundles(BlobDir(str(root / "blobs")))
        self.bundle = BlobDir(str(root / "blobs")).put_bytes(encode([]))
        logs, samples = LogArchive(root / "logs"), SampleArchive(root / "samples")
        jobs = Jobs(self.store, feed, bundles, clock, executor.nodes)
        self.batches = Batches(self.store, feed, bundles, clock, jobs)
        self.runners = Runners(self.store, feed, logs, samples, jobs, clock, 30.0)
        settings = RunnerSettings(
            lambda: "", "mine", str(root), str(root / "blobs"), "python", 10.0, 10.0, 30.0,
        )  # fmt: skip
        launcher, leases = Launcher(jobs, settings, tuple), Leases(self.store, clock, 30.0)
        whereabouts = Whereabouts(self.store, feed, clock, executor.nodes)
        reconciler = Reconciler(jobs, leases, whereabouts, launcher, 10.0)
        self.scheduler = Scheduler(
            Snapshots(self.store), feed, {executor.name: executor}, launcher, reconciler, clock,
            Policy(), Shares(lambda: NO_RULES, 0.0), Meters(), Alone(), executor,
        )  # fmt: skip
        self.clock, self.ended = clock, 0
        self.closing = False

    def fill(self, count: int, kinds: int) -> float:
        """Queue so many jobs; return the seconds that it took."""
        source = random.Random(7)
        wanted = make_kinds(kinds, source)
        begun = time.monotonic()
        for first in range(0, count, _BATCH):
            user, priority, resources = wanted[(first // _BATCH) % len(wanted)]
            spec = JobSpec("simulated", self.bundle, ["main.py"], user=user, resources=resources)
            spec = JobSpec(**{**vars(spec), "priority": priority})
            some = range(min(_BATCH, count - first))
            self.batches.submit(spec, [Member(self.clock.new_id()) for _ in some])
        return time.monotonic() - begun

    def end_jobs(self) -> None:
        """End what has run for long enough, as runners would."""
        running = self.executor.running
        while not self.closing:
            if not running or running[0][0] > time.monotonic():
                time.sleep(0.001)
                continue
            _, launch = running.popleft()
            told = Report(
                launch.attempt, "mine", phases.FINISHED, f"simulated-{launch.attempt}",
                started_at=self.clock.now(), result=Result(exit_code=0),
            )  # fmt: skip
            self.runners.report(launch.assignment["token"], told)
            self.ended += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--kinds", type=int, default=100)
    parser.add_argument("--hold", type=float, default=0.0, help="seconds that each job runs")
    parser.add_argument("--sample", type=int, default=20_000, help="jobs to be run of all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        cluster = Cluster(Path(place), options)
        print(f"{options.nodes} simulated nodes, {options.jobs} jobs")
        took = cluster.fill(options.jobs, min(options.kinds, max(1, options.jobs // _BATCH)))
        print(f"queued: {took:.1f} s, {options.jobs / took:.0f} a second")
        ender = threading.Thread(target=cluster.end_jobs, daemon=True)
        begun = time.monotonic()
        cluster.scheduler.start()
        print(f"queue read at the start: {time.monotonic() - begun:.1f} s")
        ender.start()
        begun, sample = time.monotonic(), min(options.sample, options.jobs)
        while cluster.ended < sample:
            time.sleep(0.05)
        took = time.monotonic() - begun
        gaps = [b - a for a, b in zip(cluster.executor.launched, cluster.executor.launched[1:])]
        longest = sorted(gaps)[int(len(gaps) * 0.999)]
        print(f"{sample} jobs started and ended: {sample / took:.0f} a second")
        print(f"between two starts: median {1000 * statistics.median(gaps):.2f} ms", end=", ")
        print(f"one in a thousand {1000 * longest:.0f} ms, longest {1000 * max(gaps):.0f} ms")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"memory at its peak: {memory:.0f} MB")
        cluster.closing = True
        cluster.scheduler.close()
        cluster.store.close()


if __name__ == "__main__":
    main()
