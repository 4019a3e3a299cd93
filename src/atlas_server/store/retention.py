"""What rules find, what they have removed, and what only history needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from atlas_server.domain.records import JobRecord
from atlas_server.domain.retention import JOB, ProjectRule, Rule
from atlas_server.store import jobs as job_rows
from atlas_server.store.account_tables import audit
from atlas_server.store.engine import parts
from atlas_server.store.retention_tables import file_sizes, project_rules, removals
from atlas_server.store.search_tables import searches
from atlas_server.store.tables import artifacts, events, jobs, projects, tags
from foundations.contract.states import JobState

_MOST = 1000


def rules_of_projects(connection: Connection) -> list[ProjectRule]:
    """Return what was set for projects, by project."""
    query = select(project_rules).order_by(project_rules.c.project, project_rules.c.what)
    return [
        ProjectRule(
            row.project, row.what, row.after, tuple(map(JobState, row.states)), row.keep_last
        )
        for row in connection.execute(query)
    ]


def set_rule(connection: Connection, rule: ProjectRule) -> None:
    """Set what is kept of something of a project."""
    remove_rules(connection, rule.project, [rule.what])
    row = {**asdict(rule), "states": [state.value for state in rule.states]}
    connection.execute(insert(project_rules), row)


def remove_rules(connection: Connection, project: str, what: Sequence[str]) -> int:
    """Take back what was set for a project about these things; return of how many."""
    here = and_(project_rules.c.project == project, project_rules.c.what.in_(what))
    return connection.execute(delete(project_rules).where(here)).rowcount


def rename_rules(connection: Connection, old: str, new: str) -> None:
    """Let what was set for a project go with it to its new name, and there before what was set."""
    here = select(project_rules.c.what).where(project_rules.c.project == old)
    remove_rules(connection, new, list(connection.execute(here).scalars()))
    renamed = update(project_rules).where(project_rules.c.project == old)
    connection.execute(renamed.values(project=new))


@dataclass(frozen=True, slots=True)
class Removal:
    """What a job had: so many `files` of `size` bytes, which went at `time` by `rule`."""

    what: str
    rule: str
    time: float
    files: int
    size: int


def project_names(connection: Connection) -> dict[str, int]:
    """Return the key of each project, by name."""
    return {name: key for name, key in connection.execute(select(projects.c.name, projects.c.id))}


def due(
    connection: Connection,
    project: int,
    rule: Rule,
    what: str,
    exempt: Sequence[tuple[str, str | None]],
    now: float,
    after: int,
    limit: int,
) -> list[JobRecord]:
    """Return jobs of a project of which a rule removes `what`, the oldest first.

    Those whose key is greater than `after`.
    """
    about = and_(
        jobs.c.project_id == project, jobs.c.state.in_([state.value for state in rule.states])
    )
    query = select(jobs.c.id).where(
        about, jobs.c.id > after, jobs.c.finished_at <= now - rule.after
    )
    if rule.keep_last:
        newest = select(jobs.c.id).where(about).order_by(jobs.c.id.desc())
        first_kept = newest.offset(rule.keep_last - 1).limit(1).scalar_subquery()
        query = query.where(jobs.c.id < first_kept)
    for key, value in exempt:
        marked = and_(tags.c.job == jobs.c.id, tags.c.key == key)
        query = query.where(
            ~exists().where(marked if value is None else and_(marked, tags.c.value == value))
        )
    if what == JOB:
        # What becomes of a search that goes on follows from the jobs of its trials.
        going_on = select(searches.c.name).where(searches.c.finished_at.is_(None))
        query = query.where(or_(jobs.c.search.is_(None), jobs.c.search.not_in(going_on)))
    else:
        done = and_(removals.c.job == jobs.c.id, removals.c.what == what)
        query = query.where(~exists().where(done))
    keys = connection.execute(query.order_by(jobs.c.id).limit(limit)).scalars()
    return job_rows.by_keys(connection, list(keys))


def note(connection: Connection, found: dict[int, Removal]) -> None:
    """Note what was removed, by the key of the job that had it."""
    rows = [{"job": job, **asdict(removal)} for job, removal in found.items()]
    if rows:
        connection.execute(insert(removals), rows)
    for part in parts(list(found)):
        connection.execute(delete(file_sizes).where(file_sizes.c.job.in_(part)))


def of_job(connection: Connection, job: int) -> list[Removal]:
    """Return what was removed of a job, if there was any of it."""
    query = select(removals).where(removals.c.job == job, removals.c.files > 0)
    return [
        Removal(**{name: row[name] for name in row if name != "job"})
        for row in connection.execute(query.order_by(removals.c.what)).mappings()
    ]


def jobs_without(connection: Connection, what: str, job_ids: Sequence[str]) -> set[str]:
    """Return those of the jobs with these IDs of which `what` was removed."""
    query = select(jobs.c.job_id).join_from(removals, jobs, removals.c.job == jobs.c.id)
    query = query.where(removals.c.what == what)
    return {
        job_id
        for part in parts(job_ids)
        for job_id in connection.execute(query.where(jobs.c.job_id.in_(part))).scalars()
    }


def artifacts_of(connection: Connection, job: int) -> tuple[int, int]:
    """Return how many versions of artifacts a job has, and their bytes."""
    query = select(func.count(), func.coalesce(func.sum(artifacts.c.size), 0))
    count, size = connection.execute(query.where(artifacts.c.job == job)).one()
    return int(count), int(size)


def remove_artifacts(connection: Connection, keys: Sequence[int]) -> None:
    """Forget the artifacts of jobs."""
    connection.execute(delete(artifacts).where(artifacts.c.job.in_(keys)))


def remove_events(connection: Connection, job_ids: Sequence[str]) -> int:
    """Delete the history of jobs that are gone, but for what tells that; return how many events."""
    query = delete(events).where(events.c.kind != _DELETED)
    return sum(
        connection.execute(query.where(events.c.job_id.in_(part))).rowcount
        for part in parts(job_ids)
    )


def gone_jobs(connection: Connection, before: float, after: str) -> list[str]:
    """Return IDs of jobs that are gone and have a history older than `before`, in order.

    Those greater than `after`, some of them at once.
    """
    known = exists().where(jobs.c.job_id == events.c.job_id)
    query = select(events.c.job_id).where(
        events.c.job_id > after, events.c.kind != _DELETED, events.c.time < before, ~known
    )
    found = connection.execute(query.distinct().order_by(events.c.job_id).limit(_MOST)).scalars()
    return [job_id for job_id in found if job_id]


def count_events(connection: Connection, job_ids: Sequence[str]) -> int:
    """Return how many events `remove_events` would delete."""
    query = select(func.count()).where(events.c.kind != _DELETED)
    return sum(
        connection.execute(query.where(events.c.job_id.in_(part))).scalar_one()
        for part in parts(job_ids)
    )


def count_audit(connection: Connection, before: float) -> int:
    """Return how many entries of the audit log are older than `before`."""
    return connection.execute(select(func.count()).where(audit.c.time < before)).scalar_one()


def remove_audit(connection: Connection, before: float) -> int:
    """Delete entries of the audit log that are older than `before`; return how many."""
    old = select(audit.c.id).where(audit.c.time < before).limit(_MOST)
    return connection.execute(delete(audit).where(audit.c.id.in_(old))).rowcount


_DELETED = "job.deleted"
