"""Rows of what training programs record: metrics, parameters, tags and artifacts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert

from atlas_server.store.engine import parts
from atlas_server.store.tables import (
    artifacts,
    journal_positions,
    latest_metrics,
    metric_keys,
    metrics,
    params,
    tags,
)


@dataclass(frozen=True, slots=True)
class Point:
    """One logged value: a number, or text (also for NaN and infinities, see `number_or_text`).

    `rank` is that of the process in a distributed training.
    """

    key: str
    time: float
    step: float | None
    value: float | int | bool | str
    rank: int | None = None


def number_or_text(value: float | bool | str) -> tuple[float | None, str | None]:
    """Split a value into its two columns: finite numbers, and everything that SQL cannot order."""
    if isinstance(value, str):
        return None, value
    number = float(value)
    if math.isfinite(number):
        return number, None
    return None, "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def position(connection: Connection, attempt: int, writer: str) -> int:
    """Return how many lines of a writer's journal have been taken in."""
    found = connection.execute(_POSITION, {"wanted": attempt, "by": writer}).scalar()
    return found or 0


def set_position(connection: Connection, attempt: int, writer: str, value: int) -> None:
    """Note that a writer's journal has been taken in up to line `value`."""
    row = {"attempt": attempt, "writer": writer, "position": value}
    connection.execute(_SET_POSITION, row)


def add_points(connection: Connection, job: int, points: Sequence[Point]) -> None:
    """Append points to a job's curves and bring its newest values up to date."""
    curves: dict[str, list[Point]] = {}
    for point in points:
        curves.setdefault(point.key, []).append(point)
    keys = _metric_keys(connection, list(curves))
    counts = _counts(connection, job, list(keys.values()))
    rows: list[dict[str, Any]] = []
    newest: list[dict[str, Any]] = []
    for name, own in curves.items():
        key = keys[name]
        count = counts.get(key, 0)
        rows.extend(_row(job, key, count + n, point) for n, point in enumerate(own, start=1))
        latest = {name: value for name, value in rows[-1].items() if name != "rank"}
        newest.append({**latest, "count": latest.pop("seq")})
    connection.execute(_ADD_POINTS, rows)
    connection.execute(_SET_LATEST, newest)


def set_params(connection: Connection, job: int, values: dict[str, Any]) -> None:
    """Merge parameters into a job's own; the last value of a name wins."""
    rows = [{"job": job, "key": name, "value": value} for name, value in values.items()]
    connection.execute(_SET_PARAMS, rows)


def set_tags(connection: Connection, job: int, values: dict[str, str]) -> None:
    """Set tags of a job; the last value of a key wins."""
    rows = [{"job": job, "key": name, "value": value} for name, value in values.items()]
    connection.execute(_SET_TAGS, rows)


def tag_all(connection: Connection, jobs: Sequence[int], values: dict[str, str]) -> None:
    """Set the same tags of many jobs."""
    rows = [{"job": job, "key": k, "value": v} for job in jobs for k, v in values.items()]
    connection.execute(_SET_TAGS, rows)


def add_artifact(connection: Connection, job: int, values: dict[str, Any]) -> None:
    """Add the next version of an artifact."""
    newest = select(func.max(artifacts.c.version)).where(
        artifacts.c.job == job, artifacts.c.key == values["key"]
    )
    version = (connection.execute(newest).scalar() or 0) + 1
    connection.execute(insert(artifacts).values(job=job, version=version, **values))


def params_of(connection: Connection, jobs: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the parameters of each job (row keys)."""
    query = select(params).where(params.c.job.in_(list(jobs))).order_by(params.c.key)
    found: dict[int, dict[str, Any]] = {}
    for job, key, value in connection.execute(query):
        found.setdefault(job, {})[key] = value
    return found


def tags_of(connection: Connection, jobs: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return the tags of each job (row keys)."""
    query = select(tags).where(tags.c.job.in_(list(jobs))).order_by(tags.c.key)
    found: dict[int, dict[str, str]] = {}
    for job, key, value in connection.execute(query):
        found.setdefault(job, {})[key] = value
    return found


def latest_of(connection: Connection, jobs: Iterable[int]) -> dict[int, dict[str, dict[str, Any]]]:
    """Return the newest point and the number of points of each metric of each job."""
    query = (
        select(latest_metrics, metric_keys.c.name)
        .join_from(latest_metrics, metric_keys, latest_metrics.c.key == metric_keys.c.id)
        .where(latest_metrics.c.job.in_(list(jobs)))
        .order_by(metric_keys.c.name)
    )
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["job"], {})[row["name"]] = {
            "value": row["number"] if row["text"] is None else row["text"],
            "step": row["step"],
            "time": row["time"],
            "count": row["count"],
        }
    return found


def curve(connection: Connection, job: int, name: str, after: int, limit: int) -> list[list[Any]]:
    """Return up to `limit` points `[seq, time, step, value, rank]` of one metric after `after`."""
    query = (
        select(metrics)
        .join_from(metrics, metric_keys, metrics.c.key == metric_keys.c.id)
        .where(metrics.c.job == job, metric_keys.c.name == name, metrics.c.seq > after)
        .order_by(metrics.c.seq)
        .limit(limit)
    )
    return [
        [
            row["seq"],
            row["time"],
            row["step"],
            row["number"] if row["text"] is None else row["text"],
            row["rank"],
        ]
        for row in connection.execute(query).mappings()
    ]


def artifacts_of(connection: Connection, job: int) -> list[dict[str, Any]]:
    """Return every version of every artifact of a job, by key and version."""
    query = (
        select(artifacts)
        .where(artifacts.c.job == job)
        .order_by(artifacts.c.key, artifacts.c.version)
    )
    return [
        {name: row[name] for name in row if name not in ("id", "job")}
        for row in connection.execute(query).mappings()
    ]


def artifact_digests(connection: Connection, job: int | None = None) -> set[tuple[str, bool]]:
    """Return (digest, is a folder's manifest) of the artifacts of one job, or of all."""
    query = select(artifacts.c.digest, artifacts.c.folder).distinct()
    if job is not None:
        query = query.where(artifacts.c.job == job)
    return {(digest, folder) for digest, folder in connection.execute(query)}


def _metric_keys(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the key of each name; new ones are made."""
    found = _known_keys(connection, names)
    new = [name for name in names if name not in found]
    if new:
        connection.execute(_ADD_KEYS, [{"name": name} for name in new])
        found.update(_known_keys(connection, new))
    return found


def _known_keys(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts(names):
        found.update((name, key) for name, key in connection.execute(_KEYS, {"names": part}))
    return found


def _counts(connection: Connection, job: int, keys: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for part in parts(keys):
        rows = connection.execute(_COUNTS, {"wanted": job, "keys": part})
        found.update((key, count) for key, count in rows)
    return found


def _row(job: int, key: int, seq: int, point: Point) -> dict[str, Any]:
    number, text = number_or_text(point.value)
    return {
        "job": job,
        "key": key,
        "seq": seq,
        "time": point.time,
        "step": point.step,
        "number": number,
        "text": text,
        "rank": point.rank,
    }


def _upserting(table: Table, keys: Sequence[str]) -> Insert:
    """An insertion that replaces everything but the keys where the row is there."""
    row = upsert(table)
    others = {column.name: row.excluded[column.name] for column in table.c}
    for key in keys:
        del others[key]
    return row.on_conflict_do_update(index_elements=list(keys), set_=others)


# Built once: composing a statement costs several times as much as executing it.
_WANTED = bindparam("wanted")
_POSITION = select(journal_positions.c.position).where(
    journal_positions.c.attempt == _WANTED, journal_positions.c.writer == bindparam("by")
)
_SET_POSITION = _upserting(journal_positions, ["attempt", "writer"])
_ADD_POINTS = insert(metrics)
_SET_LATEST = _upserting(latest_metrics, ["job", "key"])
_SET_PARAMS = _upserting(params, ["job", "key"])
_SET_TAGS = _upserting(tags, ["job", "key"])
_ADD_KEYS = insert(metric_keys)
_KEYS = select(metric_keys.c.name, metric_keys.c.id).where(
    metric_keys.c.name.in_(bindparam("names", expanding=True))
)
_COUNTS = select(latest_metrics.c.key, latest_metrics.c.count).where(
    latest_metrics.c.job == _WANTED, latest_metrics.c.key.in_(bindparam("keys", expanding=True))
)
