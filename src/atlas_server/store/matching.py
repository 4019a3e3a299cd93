"""Regular expressions where the database has another kind of them: matched here, by RE2.

PostgreSQL's mean other things by the same signs, and some keep it busy for ever. What jobs have in
a column is few values most of the time; those that match are what the database then looks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from atlas_server.domain import patterns
from atlas_server.domain.query.syntax import AllOf, AnyOf, Condition, Matches, Not
from atlas_server.store.selection import Reading, values_of
from atlas_server.store.tables import jobs, projects


def settled(
    connection: Connection, condition: Condition | None, reading: Reading, project: str | None
) -> Reading:
    """Return a reading that knows which texts each pattern of a condition matches.

    Raises ValueError for what is no pattern.
    """
    if connection.dialect.name == "sqlite" or reading.found is not None or condition is None:
        return reading
    found = {
        pattern: _texts(connection, pattern, reading, project) for pattern in _patterns(condition)
    }
    return replace(reading, found=found)


def _patterns(condition: Condition) -> list[Matches]:
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return [pattern for part in parts for pattern in _patterns(part)]
        case Not(inner):
            return _patterns(inner)
        case Matches():
            return [condition]
        case _:
            return []


def _texts(
    connection: Connection, leaf: Matches, reading: Reading, project: str | None
) -> list[str]:
    values, joined = values_of(leaf.column, reading)
    if values.text is None:
        return []
    query: Any = select(values.text).distinct().where(values.text.is_not(None))
    query = query.select_from(jobs if joined is None else jobs.join(*joined))
    if project is not None:
        known = select(projects.c.id).where(projects.c.name == project).scalar_subquery()
        query = query.where(jobs.c.project_id == known)
    texts = connection.execute(query).scalars()
    return [text for text in texts if patterns.matches(leaf.pattern, text)]
