"""Rows of what training programs record: metrics, parameters, tags and artifacts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from atlas_server.store import catalogue, rollups, texts
from atlas_server.store.bulk import insert_many
from atlas_server.store.catalogue import Change
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
from atlas_server.store.upserts import passing_over, replacing

_LONGEST_NAME = 500  # characters, of up to four bytes


class Point(NamedTuple):
    """One logged value: a number, or text (also for NaN and infinities, see `number_or_text`).

    `rank` is that of the process in a distributed training.
    """

    key: str
    time: float
    step: float | None
    value: float | int | bool | str
    rank: int | None = None


def named(text: str) -> str:
    """Return a name as it is kept: of one that no index could hold, the beginning and a digest."""
    if len(text) <= _LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{text[: _LONGEST_NAME - len(digest) - 1]}~{digest}"


def number_or_text(value: float | bool | str) -> tuple[float | None, str | None]:
    """Split a value into its two columns: finite numbers, and everything that SQL cannot order."""
    if isinstance(value, str):
        return None, value
    number = float(value)
    if math.isfinite(number):
        return number, None
    return None, "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def typed(value: Any) -> tuple[float | None, str | None]:
    """Split a parameter into its two columns, see `tables.params`."""
    if isinstance(value, bool):
        return None, "true" if value else "false"
    if isinstance(value, (int, float)):
        try:
            return number_or_text(value)
        except OverflowError:
            return number_or_text(math.inf if value > 0 else -math.inf)
    return None, value if isinstance(value, str) else None


def position(connection: Connection, attempt: int, writer: str) -> int:
    """Return how many lines of a writer's journal have been taken in."""
    found = connection.execute(_POSITION, {"wanted": attempt, "by": writer}).scalar()
    return found or 0


def set_position(connection: Connection, attempt: int, writer: str, value: int) -> None:
    """Note that a writer's journal has been taken in up to line `value`."""
    row = {"attempt": attempt, "writer": writer, "position": value}
    connection.execute(_SET_POSITION.on(connection), row)


def add_points(connection: Connection, job: int, points: Sequence[Point]) -> None:
    """Append points to a job's curves and bring its newest values up to date."""
    curves: dict[str, list[Point]] = {}
    for point in points:
        curves.setdefault(point.key, []).append(point)
    curves = {named(name): own for name, own in curves.items()}
    keys = _metric_keys(connection, list(curves))
    known = _standing(connection, job, list(keys.values()))
    rows: list[dict[str, Any]] = []
    newest: list[dict[str, Any]] = []
    stretches: list[dict[str, Any]] = []
    changes: list[Change] = []
    for name, own in curves.items():
        key = keys[name]
        count, lowest, highest = known.get(key, (0, None, None))
        fresh = [_row(job, key, count + n, point) for n, point in enumerate(own, start=1)]
        numbers = [row["number"] for row in fresh if row["number"] is not None]
        first = bool(numbers) and lowest is None
        changes.append(Change(name, int(count == 0), int(first), 0))
        if lowest is not None:
            numbers += (lowest, highest)
        latest = {name: value for name, value in fresh[-1].items() if name != "rank"}
        latest["lowest"] = min(numbers, default=None)
        latest["highest"] = max(numbers, default=None)
        newest.append({**latest, "count": latest.pop("seq")})
        stretches += rollups.complete(connection, count, fresh)
        rows += fresh
    insert_many(connection, _ADD_POINTS, rows)
    connection.execute(_SET_LATEST.on(connection), newest)
    if stretches:
        insert_many(connection, rollups.ADD_ROLLUPS, stretches)
    catalogue.count(connection, job, catalogue.METRIC, changes)


def set_params(connection: Connection, job: int, values: dict[str, Any]) -> None:
    """Merge parameters into a job's own; the last value of a name wins."""
    values = {named(name): value for name, value in values.items()}
    known = {key: value for key, value in connection.execute(_PARAMS, {"wanted": job})}
    rows: list[dict[str, Any]] = []
    changes: list[Change] = []
    for name, value in values.items():
        # Programs record what they were given: most of it is known. 1 is not True here.
        if name in known and repr(known[name]) == repr(value):
            continue
        number, text = typed(value)
        rows.append({"job": job, "key": name, "value": value, "number": number, "text": text})
        old = typed(known[name]) if name in known else (None, None)
        changes.append(
            Change(
                name,
                int(name not in known),
                (number is not None) - (old[0] is not None),
                (text is not None) - (old[1] is not None),
            )
        )
    if rows:
        connection.execute(_SET_PARAMS.on(connection), rows)
        catalogue.count(connection, job, catalogue.PARAM, changes)
        texts.refresh(connection, job)


def set_tags(connection: Connection, job: int, values: dict[str, str]) -> None:
    """Set tags of a job; the last value of a key wins."""
    values = {named(name): value for name, value in values.items()}
    known = tags_of(connection, [job]).get(job, {})
    rows = [
        {"job": job, "key": name, "value": value}
        for name, value in values.items()
        if known.get(name) != value
    ]
    if rows:
        connection.execute(_SET_TAGS.on(connection), rows)
        new = [Change(name, 1, 0, 1) for name in values if name not in known]
        catalogue.count(connection, job, catalogue.TAG, new)
        texts.refresh(connection, job)


def remove_tags(connection: Connection, job: int, keys: Sequence[str]) -> None:
    """Take tags off a job; keys that it has not are passed over."""
    known = tags_of(connection, [job]).get(job, {})
    gone = [key for key in dict.fromkeys(map(named, keys)) if key in known]
    if gone:
        connection.execute(_REMOVE_TAG, [{"wanted": job, "called": key} for key in gone])
        changes = [Change(key, -1, 0, -1) for key in gone]
        catalogue.count(connection, job, catalogue.TAG, changes)
        texts.refresh(connection, job)


def add_artifact(connection: Connection, job: int, values: dict[str, Any]) -> None:
    """Add the next version of an artifact."""
    values = {**values, "key": named(values["key"])}
    newest = select(func.max(artifacts.c.version)).where(
        artifacts.c.job == job, artifacts.c.key == values["key"]
    )
    version = (connection.execute(newest).scalar() or 0) + 1
    connection.execute(insert(artifacts).values(job=job, version=version, **values))


Names = frozenset[str] | None


def params_of(
    connection: Connection, jobs: Iterable[int], names: Names = None
) -> dict[int, dict[str, Any]]:
    """Return the parameters of each job (row keys), of these names only where they are given."""
    columns = (params.c.job, params.c.key, params.c.value)
    query = select(*columns).where(params.c.job.in_(list(jobs))).order_by(params.c.key)
    found: dict[int, dict[str, Any]] = {}
    rows: Any = connection.execute(_named(query, params.c.key, names))
    for job, key, value in rows:
        found.setdefault(job, {})[key] = value
    return found


def tags_of(
    connection: Connection, jobs: Iterable[int], names: Names = None
) -> dict[int, dict[str, str]]:
    """Return the tags of each job, of these names only where they are given."""
    query = select(tags).where(tags.c.job.in_(list(jobs))).order_by(tags.c.key)
    found: dict[int, dict[str, str]] = {}
    rows: Any = connection.execute(_named(query, tags.c.key, names))
    for job, key, value in rows:
        found.setdefault(job, {})[key] = value
    return found


def latest_of(
    connection: Connection, jobs: Iterable[int], names: Names = None
) -> dict[int, dict[str, dict[str, Any]]]:
    """Return of each metric of each job the newest point, the number of points, and the bounds."""
    query = (
        select(latest_metrics, metric_keys.c.name)
        .join_from(latest_metrics, metric_keys, latest_metrics.c.key == metric_keys.c.id)
        .where(latest_metrics.c.job.in_(list(jobs)))
        .order_by(metric_keys.c.name)
    )
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for row in connection.execute(_named(query, metric_keys.c.name, names)).mappings():
        found.setdefault(row["job"], {})[row["name"]] = {
            "value": row["number"] if row["text"] is None else row["text"],
            "step": row["step"],
            "time": row["time"],
            "count": row["count"],
            "min": row["lowest"],
            "max": row["highest"],
        }
    return found


def _named(query: Any, column: Any, names: Names) -> Any:
    return query if names is None else query.where(column.in_(names))


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
        connection.execute(_ADD_KEYS.on(connection), [{"name": name} for name in sorted(new)])
        found.update(_known_keys(connection, new))
    return found


def _known_keys(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts(names):
        found.update((name, key) for name, key in connection.execute(_KEYS, {"names": part}))
    return found


def _standing(
    connection: Connection, job: int, keys: Sequence[int]
) -> dict[int, tuple[int, float | None, float | None]]:
    """The number of points, the lowest and the highest number of each of a job's curves."""
    found: dict[int, tuple[int, float | None, float | None]] = {}
    for part in parts(keys):
        rows = connection.execute(_STANDING, {"wanted": job, "keys": part})
        found.update((key, (count, low, high)) for key, count, low, high in rows)
    return found


def _row(job: int, key: int, seq: int, point: Point) -> dict[str, Any]:
    _, time, step, value, rank = point
    if type(value) is float and math.isfinite(value):
        number, text = value, None
    else:
        number, text = number_or_text(value)
    return {
        "job": job,
        "key": key,
        "seq": seq,
        "time": time,
        "step": step,
        "number": number,
        "text": text,
        "rank": rank,
    }


# Built once: composing a statement costs several times as much as executing it.
_WANTED = bindparam("wanted")
_POSITION = select(journal_positions.c.position).where(
    journal_positions.c.attempt == _WANTED, journal_positions.c.writer == bindparam("by")
)
_SET_POSITION = replacing(journal_positions, ["attempt", "writer"])
_ADD_POINTS = insert(metrics)
_SET_LATEST = replacing(latest_metrics, ["job", "key"])
_SET_PARAMS = replacing(params, ["job", "key"])
_SET_TAGS = replacing(tags, ["job", "key"])
_ADD_KEYS = passing_over(metric_keys, ["name"])
_KEYS = select(metric_keys.c.name, metric_keys.c.id).where(
    metric_keys.c.name.in_(bindparam("names", expanding=True))
)
_STANDING = select(
    latest_metrics.c.key,
    latest_metrics.c.count,
    latest_metrics.c.lowest,
    latest_metrics.c.highest,
).where(
    latest_metrics.c.job == _WANTED, latest_metrics.c.key.in_(bindparam("keys", expanding=True))
)
_PARAMS = select(params.c.key, params.c.value).where(params.c.job == _WANTED)
_REMOVE_TAG = delete(tags).where(tags.c.job == _WANTED, tags.c.key == bindparam("called"))
