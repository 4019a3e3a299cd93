"""Joins the figures of a server with where they are looked up."""

from __future__ import annotations

from collections.abc import Callable

from atlas_server.domain.resources import WHOLE, capacity
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.health import Health
from atlas_server.services.housekeeping import Housekeeping
from atlas_server.services.leases import Leases
from atlas_server.services.meters import Meters
from atlas_server.services.views import Views
from foundations.contract.states import JobState


def observe(
    meters: Meters,
    scheduler: Scheduler,
    views: Views,
    health: Health,
    housekeeping: Housekeeping,
    leases: Leases,
) -> None:
    """Have all that can be looked up be among the figures."""

    def add(name: str, about: str, look: Callable[[], float | None]) -> None:
        def one() -> dict[tuple[str, ...], float]:
            value = look()
            return {} if value is None else {(): value}

        meters.look_up(name, about, (), one)

    def jobs() -> dict[tuple[str, ...], float]:
        counts = views.counts()
        return {(state.value,): counts.get(state.value, 0) for state in JobState}

    meters.look_up("atlas_jobs", "Jobs by state", ("state",), jobs)
    held = scheduler.allocations
    add("atlas_cpus_used", "CPUs that jobs hold", lambda: sum(one.cpus for one in held().values()))
    add("atlas_cpus_total", "CPUs there are", lambda: capacity(scheduler.nodes()).cpus / WHOLE)
    add(
        "atlas_gpus_used",
        "GPUs that jobs hold",
        lambda: sum(share for one in held().values() for _, share in one.gpus),
    )
    add("atlas_gpus_total", "GPUs there are", lambda: capacity(scheduler.nodes()).gpus / WHOLE)
    add("atlas_disk_free_bytes", "What the disk of the home can still take", health.free_bytes)
    add("atlas_blob_bytes", "Stored content", lambda: housekeeping.blob_bytes)
    add(
        "atlas_journal_lag_seconds",
        "Since the running job was heard of that has been silent longest",
        leases.longest_silence,
    )
