"""Endpoints of tables of jobs and of the query language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.jobs import JobPage
from atlas_server.domain.answers.tables import (
    Columns,
    ColumnValues,
    Completion,
    Groups,
    QueryCheck,
    ValueTable,
)
from atlas_server.domain.rights import Right
from atlas_server.services.completions import Completions
from atlas_server.services.listings import Listings
from atlas_server.services.queries import Asked

_Texts = Annotated[list[str] | None, Query()]
_Text = Annotated[str, Query(max_length=10_000)]
_MOST_ROWS = 1000
_MOST_VALUES = 100_000


class TableRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, listings: Listings, completions: Completions) -> None:
        self._listings = listings
        self._completions = completions

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(tags=["tables"])
        add = router.add_api_route
        add("/listing", self.listing, methods=["GET"], **answers(JobPage))
        add("/columns", self.columns, methods=["GET"], **answers(Columns))
        add("/columns/values", self.column_values, methods=["GET"], **answers(ColumnValues))
        add("/values", self.values, methods=["GET"], **answers(ValueTable))
        add("/groups", self.groups, methods=["GET"], **answers(Groups))
        add("/query/check", self.check, methods=["GET"], **answers(QueryCheck))
        add("/query/complete", self.complete, methods=["GET"], **answers(Completion))
        return router

    @needs(Right.READ)
    def listing(
        self,
        project: str | None = None,
        query: _Text = "",
        sort: _Texts = None,
        columns: _Texts = None,
        ids: _Texts = None,
        offset: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
        limit: Annotated[int, Query(ge=0, le=_MOST_ROWS)] = 100,
        tz: str | None = None,
    ) -> Response:
        """Return a window of the jobs that a query selects, in its order or that of `sort`."""
        asked = Asked(project, query, tuple(sort or ()), None if ids is None else tuple(ids), tz)
        # `columns=` says: none of them.
        wanted = None if columns is None else [column for column in columns if column]
        return JSONResponse(self._listings.page(asked, offset, limit, wanted))

    @needs(Right.READ)
    def columns(self, project: str | None = None) -> Response:
        """Return the columns that jobs have: fields, parameters, metrics, tags."""
        return JSONResponse(self._listings.columns(project))

    @needs(Right.READ)
    def column_values(
        self,
        column: str,
        project: str | None = None,
        query: _Text = "",
        prefix: str = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
        tz: str | None = None,
    ) -> Response:
        """Return the values of one column, the most frequent first."""
        asked = Asked(project, query, zone=tz)
        return JSONResponse(self._listings.column_values(asked, column, prefix, limit))

    @needs(Right.READ)
    def values(
        self,
        columns: Annotated[list[str], Query(max_length=100)],
        project: str | None = None,
        query: _Text = "",
        sort: _Texts = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_VALUES)] = 10_000,
        tz: str | None = None,
    ) -> Response:
        """Return the jobs that a query selects by columns, for charts over many jobs."""
        asked = Asked(project, query, tuple(sort or ()), zone=tz)
        return JSONResponse(self._listings.value_table(asked, columns, limit))

    @needs(Right.READ)
    def groups(
        self,
        by: Annotated[list[str], Query(min_length=1, max_length=3)],
        metrics: Annotated[list[str] | None, Query(max_length=20)] = None,
        project: str | None = None,
        query: _Text = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        tz: str | None = None,
    ) -> Response:
        """Return jobs that agree in some columns, with the mean and deviation of metrics."""
        asked = Asked(project, query, zone=tz)
        return JSONResponse(self._listings.groups(asked, by, metrics or (), limit))

    @needs(Right.READ)
    def check(self, query: str = "", project: str | None = None, tz: str | None = None) -> Response:
        """Tell what a query says, or what is wrong with it."""
        return JSONResponse(self._listings.check(Asked(project, query, zone=tz)))

    @needs(Right.READ)
    def complete(
        self,
        text: _Text = "",
        cursor: Annotated[int | None, Query(ge=0)] = None,
        project: str | None = None,
    ) -> Response:
        """Return the words that may stand where the cursor is."""
        return JSONResponse(self._completions.complete(text, cursor, project))
