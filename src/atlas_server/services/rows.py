"""Jobs as rows of tables: JSON-ready, with what they recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.answers.jobs import JobRow, Metric, PlainJob
from atlas_server.domain.query.goals import best_of
from atlas_server.domain.records import JobRecord
from atlas_server.store import projects, tracking
from foundations.contract.codec import finite
from foundations.contract.flattening import flatten


@dataclass(frozen=True, slots=True)
class Shown:
    """The names of those parameters, metrics and tags that rows have; None: all of them."""

    params: frozenset[str] | None = None
    metrics: frozenset[str] | None = None
    tags: frozenset[str] | None = None


ALL = Shown()


def plain_row(job: JobRecord) -> PlainJob:
    """Return the row of one job without what it recorded."""
    return _row(job, _sorted(finite(flatten(job.spec["params"] or {}))))


def _row(job: JobRecord, params: dict[str, Any]) -> PlainJob:
    return {
        "job_id": job.job_id,
        "kind": job.kind.value,
        "project": job.project,
        "name": job.name,
        "user": job.user,
        "state": job.state.value,
        "reason": job.reason.value if job.reason else None,
        "message": job.message,
        "exit_code": job.exit_code,
        "priority": job.priority,
        "resources": {
            # What the scheduler counts; the limits of a container are among the spec.
            "cpus": job.resources.cpus,
            "memory": job.resources.memory,
            "gpus": job.resources.gpus,
        },
        "num_nodes": job.spec.get("num_nodes", 1),
        "params": params,
        "command": job.spec["command"],
        "entrypoint": job.spec["entrypoint"],
        "attempts": job.attempts,
        "retries": job.retries,
        "timeout": job.timeout,
        "submitted_at": job.submitted_at,
        "queued_at": job.queued_at,
        "not_before": job.not_before,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "bundle": job.bundle,
        "usage": job.usage,
        "notes": job.notes,
        "rerun_of": job.spec.get("rerun_of"),
        "search": job.search,
    }


def rows_of(connection: Connection, found: Sequence[JobRecord], shown: Shown = ALL) -> list[JobRow]:
    """Return the rows of jobs in the order in which they are given."""
    keys = [job.id for job in found]
    params = tracking.params_of(connection, keys, shown.params)
    tags = tracking.tags_of(connection, keys, shown.tags)
    latest = tracking.latest_of(connection, keys, shown.metrics)
    goals = projects.goals(connection)
    return [
        {
            **_row(job, finite(params.get(job.id, {}))),
            "tags": tags.get(job.id, {}),
            "metrics": _with_best(latest.get(job.id, {}), goals.get(job.project, {})),
        }
        for job in found
    ]


def _with_best(metrics: dict[str, dict[str, Any]], goals: Mapping[str, str]) -> dict[str, Metric]:
    found: dict[str, Any] = {
        name: {**metric, "best": best_of(name, goals, metric["min"], metric["max"])}
        for name, metric in metrics.items()
    }
    return found


def _sorted(values: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))
