"""Takes in what training programs record, once each, however often it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.records import AttemptRecord
from atlas_server.store import tracking
from atlas_server.store.tracking import Point
from foundations.contract import events
from foundations.contract.report import JournalBatch


def take_in(
    connection: Connection, attempt: AttemptRecord, batches: Sequence[JournalBatch], now: float
) -> None:
    """Store the journal lines that are new; those that came before are passed over."""
    for batch in batches:
        known = tracking.position(connection, attempt.id, batch.writer)
        fresh = batch.events[max(0, known - batch.first + 1) :]
        if not fresh:
            continue
        _store(connection, attempt.job, fresh, now)
        last = batch.first + len(batch.events) - 1
        tracking.set_position(connection, attempt.id, batch.writer, last)


def _store(connection: Connection, job: int, lines: Sequence[dict[str, Any]], now: float) -> None:
    points: list[Point] = []
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for line in lines:
        kind = line.get("k")
        if kind == events.METRIC:
            points.append(_point(line, now))
        elif kind == events.PARAMS:
            params.update(line["values"])
        elif kind == events.TAG:
            tags[str(line["key"])] = str(line["value"])
        elif kind == events.ARTIFACT:
            tracking.add_artifact(connection, job, _artifact(line, now))
    if points:
        tracking.add_points(connection, job, points)
    if params:
        tracking.set_params(connection, job, params)
    if tags:
        tracking.set_tags(connection, job, tags)


def _point(line: dict[str, Any], now: float) -> Point:
    return Point(str(line["key"]), line.get("t", now), line.get("step"), line["value"])


def _artifact(line: dict[str, Any], now: float) -> dict[str, Any]:
    return {
        "key": str(line["key"]),
        "filename": str(line["filename"]),
        "digest": line["digest"],
        "size": line["size"],
        "folder": bool(line.get("folder")),
        "created_at": line.get("t", now),
    }
