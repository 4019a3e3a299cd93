"""Takes in what training programs record, once each, however often it is sent."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from atlas_server.archive.samples import Sample
from atlas_server.domain.records import AttemptRecord
from atlas_server.domain.reports import readable
from atlas_server.services.specs import check_project
from atlas_server.store import catalogue, jobs, projects, tracking
from atlas_server.store.tracking import Point
from foundations.contract import events
from foundations.contract.manifest import is_digest
from foundations.contract.report import JournalBatch
from foundations.errors import InvalidRequest

log = logging.getLogger(__name__)

# Steps below are exact as floats.
_FAR = 1 << 53
_MALFORMED = (KeyError, TypeError, ValueError, RecursionError, InvalidRequest)


def take_in(
    connection: Connection, attempt: AttemptRecord, batches: Sequence[JournalBatch], now: float
) -> None:
    """Store the journal lines that are new; those that came before are passed over.

    A job can write anything into its journal. What is no event is passed over, too: refused, it
    would be sent again for ever and hold up everything behind it.
    """
    for batch in batches:
        known = tracking.position(connection, attempt.id, batch.writer)
        fresh = batch.events[max(0, known - batch.first + 1) :]
        if not fresh:
            continue
        news = _News(now)
        for line in fresh:
            try:
                news.add(line)
            except _MALFORMED as error:
                log.warning("Job %s recorded something malformed: %r", attempt.job_id, error)
        news.store(connection, attempt)
        last = batch.first + len(batch.events) - 1
        tracking.set_position(connection, attempt.id, batch.writer, last)


class _News:
    """Events of one batch by kind, to be stored together."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._points: list[Point] = []
        self._params: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._artifacts: list[dict[str, Any]] = []
        self._project: str | None = None
        self._errors: list[dict[str, Any]] = []

    def add(self, line: dict[str, Any]) -> None:
        """Sort one event in. Raises KeyError, TypeError or ValueError."""
        kind = line.get("k")
        if kind == events.METRIC:
            self._points.append(_point(line, self._now))
        elif kind == events.PARAMS:
            self._params.update(_mapping(line["values"]))
        elif kind == events.TAG:
            self._tags[_text(line["key"])] = _text(line["value"])
        elif kind == events.ARTIFACT:
            self._artifacts.append(_artifact(line, self._now))
        elif kind == events.PROJECT:
            self._project = check_project(_text(line["name"]))
        elif kind == events.ERROR:
            self._errors.append(_error(line))

    def store(self, connection: Connection, attempt: AttemptRecord) -> None:
        """Write all of it down."""
        job = attempt.job
        for error in self._errors:
            _keep_error(connection, attempt.id, error)
        for artifact in self._artifacts:
            tracking.add_artifact(connection, job, artifact)
        if self._points:
            tracking.add_points(connection, job, self._points)
        if self._params:
            tracking.set_params(connection, job, self._params)
        if self._tags:
            tracking.set_tags(connection, job, self._tags)
        if self._project is not None:
            key = projects.ensure(connection, self._project, self._now)
            catalogue.move(connection, job, key)


def samples_in(batches: Sequence[JournalBatch], now: float) -> list[Sample]:
    """Return what the runner has measured, of all lines: those that came before, too."""
    found: list[Sample] = []
    for line in (line for batch in batches for line in batch.events):
        if line.get("k") == events.SYSTEM:
            try:
                numbers = {_text(k): _number(v) for k, v in line["values"].items()}
                finite = {k: v for k, v in numbers.items() if math.isfinite(v)}
                found.append((_time(line, now), finite))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                log.warning("A runner measured something malformed: %r", error)
    return found


def _point(line: dict[str, Any], now: float) -> Point:
    key, value, step, at = line["key"], line["value"], line.get("step"), line.get("t")
    if type(value) is float and type(at) is float and type(step) is int and type(key) is str:
        # Nearly always, and a million times: nothing is to be made of it but a check.
        if -_FAR < step < _FAR and math.isfinite(at) and key.isascii():
            rank = line.get("r")
            return Point(key, at, float(step), value, rank if type(rank) is int else None)
    value = readable(value) if isinstance(value, str) else _number(value)
    rank = line.get("r")
    rank = rank if type(rank) is int else None
    return Point(_text(line["key"]), _time(line, now), _step(line), value, rank)


def _error(line: dict[str, Any]) -> dict[str, Any]:
    known = {name: _text(line[name]) for name in ("type", "message", "traceback")}
    numbers = {"round": line.get("round"), "rank": line.get("r")}
    return {**known, **{name: value for name, value in numbers.items() if type(value) is int}}


def _keep_error(connection: Connection, attempt_id: int, error: dict[str, Any]) -> None:
    """Of several processes the first to fail has the cause, but in the last round of them all."""
    attempt = jobs.find_attempt(connection, attempt_id)
    known = attempt.error if attempt is not None else None
    if known is None or known.get("round", 0) < error.get("round", 0):
        jobs.update_attempt(connection, attempt_id, {"error": error})


def _artifact(line: dict[str, Any], now: float) -> dict[str, Any]:
    digest, size = line["digest"], line["size"]
    if not is_digest(digest) or type(size) is not int or not 0 <= size < 1 << 62:
        raise ValueError("an artifact without content")
    return {
        "key": _text(line["key"]),
        "filename": _text(line["filename"]),
        "digest": digest,
        "size": size,
        "folder": bool(line.get("folder")),
        "created_at": _time(line, now),
        "step": _step(line),
    }


def _mapping(values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TypeError("parameters without names")
    return {_text(name): readable(value) for name, value in values.items()}


def _text(value: object) -> str:
    return str(readable(str(value)))


def _step(line: dict[str, Any]) -> float | None:
    if line.get("step") is None:
        return None
    step = _number(line["step"])
    return step if math.isfinite(step) else None


def _time(line: dict[str, Any], now: float) -> float:
    time = _number(line.get("t", now))
    if not math.isfinite(time):
        raise ValueError("a time that is not finite")
    return time


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{type(value).__name__} where a number belongs")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
