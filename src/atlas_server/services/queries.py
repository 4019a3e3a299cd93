"""Queries as people write them, read with what the server knows: the time, the jobs' columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from atlas_server.domain.answers.jobs import UnknownColumn
from atlas_server.domain.answers.tables import QueryCheck, QueryMistake
from atlas_server.domain.ports import Clock
from atlas_server.domain.query.names import Names, unknown
from atlas_server.domain.query.parser import parse, parse_column, parse_sort
from atlas_server.domain.query.syntax import Column, Query
from atlas_server.services.calendar import ZoneCalendar
from atlas_server.store import catalogue, projects
from atlas_server.store.catalogue import Counted
from atlas_server.store.listing import Selection
from atlas_server.store.selection import Reading
from foundations.errors import InvalidQuery


@dataclass(frozen=True, slots=True)
class Asked:
    """Which jobs somebody asks for: the texts as they came. `sort` beats the query's own."""

    project: str | None = None
    query: str = ""
    sort: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    zone: str | None = None


class Queries:
    """Reads queries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def selection(self, connection: Connection, asked: Asked) -> tuple[Selection, Query]:
        """Return what is asked for, as the store takes it, and the query itself.

        Raises InvalidQuery, NotFound for a project that does not exist, or InvalidRequest.
        """
        if asked.project is not None:
            projects.find(connection, asked.project)
        query = self._parsed(connection, asked)
        sort = query.sort
        if asked.sort:
            sort = tuple(
                parse_sort(text, lambda: names_of(connection, asked.project)) for text in asked.sort
            )
        reading = self._reading(connection, asked.project)
        return Selection(reading, asked.project, query.condition, sort, asked.ids), query

    def columns(
        self, connection: Connection, texts: Iterable[str], project: str | None
    ) -> list[Column]:
        """Return the columns that texts name. Raises InvalidQuery."""
        return [parse_column(text, lambda: names_of(connection, project)) for text in texts]

    def unknown(
        self, connection: Connection, query: Query, project: str | None
    ) -> list[UnknownColumn]:
        """Return the columns of a query that no job has, and what may have been meant."""
        if not any(True for _ in query.columns()):
            return []
        return [
            {
                "column": str(found.column),
                "position": found.column.place.position,
                "length": found.column.place.length,
                "suggestions": list(found.suggestions),
            }
            for found in unknown(query, names_of(connection, project))
        ]

    def check(self, connection: Connection, asked: Asked) -> QueryCheck:
        """Return what a query says, or what is wrong with it."""
        try:
            query = self._parsed(connection, asked)
        except InvalidQuery as error:
            return {
                "valid": False,
                "error": _mistake(error),
                "columns": [],
                "sort": [],
                "without_sort": asked.query,
                "unknown": [],
            }
        return {
            "valid": True,
            "error": None,
            "columns": list(dict.fromkeys(str(column) for column in query.columns())),
            "sort": [str(sort) for sort in query.sort],
            "without_sort": asked.query[: query.end].rstrip(),
            "unknown": self.unknown(connection, query, asked.project),
        }

    def _parsed(self, connection: Connection, asked: Asked) -> Query:
        calendar = ZoneCalendar(self._clock.now(), asked.zone)
        return parse(asked.query, calendar, lambda: names_of(connection, asked.project))

    def _reading(self, connection: Connection, project: str | None) -> Reading:
        goals = projects.goals(connection).get(project, {}) if project is not None else {}
        return Reading(self._clock.now(), goals)


def names_of(connection: Connection, project: str | None) -> Names:
    """Return the names of all that the jobs of a project have recorded."""
    counted = catalogue.of_project(connection, project)
    return Names(
        _of_kind(counted, catalogue.PARAM),
        _of_kind(counted, catalogue.METRIC),
        _of_kind(counted, catalogue.TAG),
    )


def _of_kind(counted: Iterable[Counted], kind: str) -> frozenset[str]:
    return frozenset(column.name for column in counted if column.kind == kind)


def _mistake(error: InvalidQuery) -> QueryMistake:
    return {
        "message": error.message,
        "hint": error.hint or None,
        "position": error.details["position"],
        "length": error.details["length"],
        "suggestions": error.details["suggestions"],
    }
