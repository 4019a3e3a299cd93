"""The waiting jobs: what placement knows of them, and their order."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from atlas_server.domain.queue import Waiting
from atlas_server.domain.records import SPACING
from atlas_server.domain.wishes import Wish
from atlas_server.store.tables import jobs, projects
from foundations.contract.spec import Resources
from foundations.contract.states import JobState


def waiting(connection: Connection) -> list[Waiting]:
    """Return what placement needs to know of every queued job."""
    query = select(*_WAITING).join_from(jobs, projects, jobs.c.project_id == projects.c.id)
    rows = connection.execute(query.where(jobs.c.state == JobState.QUEUED.value))
    return [
        Waiting(
            job_id,
            user,
            priority,
            arrival,
            Resources(cpus, memory, gpus),
            *rest,
            wish=Wish.from_text(wish),
        )
        for job_id, user, priority, arrival, cpus, memory, gpus, *rest, wish in rows
    ]


def last_place(connection: Connection) -> int:
    """Return the place in the queue of the job submitted last."""
    return (connection.execute(select(func.max(jobs.c.id))).scalar() or 0) * SPACING


def queued(connection: Connection, priority: int) -> list[tuple[int, int, str]]:
    """Return (place, row key, job ID) of the waiting jobs of a priority, the first one first."""
    place = func.coalesce(jobs.c.place, jobs.c.id * SPACING)
    query = select(place, jobs.c.id, jobs.c.job_id).where(
        jobs.c.state == JobState.QUEUED.value, jobs.c.priority == priority
    )
    return [(at, key, job_id) for at, key, job_id in connection.execute(query.order_by(place))]


def top_priority(connection: Connection) -> int | None:
    """Return the highest priority of a waiting job, None where none waits."""
    query = select(func.max(jobs.c.priority)).where(jobs.c.state == JobState.QUEUED.value)
    return connection.execute(query).scalar()


# Built once: composing a statement costs several times as much as executing it.
_WAITING = (
    jobs.c.job_id,
    jobs.c.user,
    jobs.c.priority,
    func.coalesce(jobs.c.place, jobs.c.id * SPACING),
    jobs.c.cpus,
    jobs.c.memory,
    jobs.c.gpus,
    jobs.c.queued_at,
    jobs.c.not_before,
    jobs.c.timeout,
    projects.c.name,
    jobs.c.wish,
)
