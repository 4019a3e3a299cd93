"""Endpoints of what is kept for how long."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, Targets, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.retention import RetentionTable
from atlas_server.domain.rights import Right
from atlas_server.services.retention_book import RetentionBook


class RetentionChange(BaseModel):
    """What is removed of a project's jobs `after` how long: seconds, as in 90d, or "never"."""

    model_config = ConfigDict(extra="forbid")

    project: str
    remove: list[str]
    after: str | float
    states: list[str] | None = None
    keep_last: int = 0


def routes(book: RetentionBook) -> Router:
    """Return the endpoints."""
    router = Router(tags=["retention"])

    @router.get("/retention", **answers(RetentionTable))
    @needs(Right.READ)
    def table() -> Response:
        """Return every rule of what is kept for how long."""
        return JSONResponse(book.table())

    @router.patch("/retention", **answers(RetentionTable))
    @needs(Right.ADMIN)
    def change(wanted: RetentionChange, targets: Targets) -> Response:
        """Set what is kept of a project, instead of what the server's file says about it."""
        targets += [wanted.project, *wanted.remove]
        book.change(wanted.project, wanted.model_dump(exclude={"project"}, exclude_none=True))
        return table()

    @router.delete("/retention/{project}", **answers(RetentionTable))
    @needs(Right.ADMIN)
    def remove(project: str, what: Annotated[list[str], Query()] = []) -> Response:  # noqa: B006
        """Take back what was set for a project, about these things alone or about all."""
        book.remove(project, what)
        return table()

    return router
