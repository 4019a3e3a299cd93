"""The endpoint that does the same with many jobs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, Targets, Who, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.system import BulkDone
from atlas_server.domain.rights import Right
from atlas_server.services.bulk import Bulk, Deed, check
from atlas_server.services.queries import Asked
from foundations.errors import InvalidRequest

_Action = Literal["stop", "delete", "rerun", "tag", "untag", "priority"]


class BulkWanted(BaseModel):
    """What to do with which jobs: `jobs` are whole IDs; without them those that `query` selects."""

    model_config = ConfigDict(extra="forbid")

    action: _Action
    jobs: Annotated[list[str] | None, Field(max_length=100_000)] = None
    query: str | None = None
    project: str | None = None
    tz: str | None = None
    dry_run: bool = False
    expected: int | None = None
    tags: dict[str, str] = {}
    keys: list[str] = []
    changes: dict[str, Any] = {}
    priority: int = 0


def routes(bulk: Bulk) -> APIRouter:
    """Return the endpoint."""
    router = Router(tags=["bulk"])

    @needs(Right.CHANGE)
    def act(who: Who, targets: Targets, wanted: BulkWanted) -> Response:
        """Do something with many jobs, each for itself; nothing in a dry run."""
        if (wanted.jobs is None) == (wanted.query is None):
            raise InvalidRequest("Give either `jobs` or a `query`.")
        deed = Deed(wanted.action, wanted.tags, wanted.keys, wanted.changes, wanted.priority)
        check(deed)
        ids = None if wanted.jobs is None else tuple(wanted.jobs)
        asked = Asked(wanted.project, wanted.query or "", ids=ids, zone=wanted.tz)
        done = bulk.carry_out(who, deed, asked, dry_run=wanted.dry_run, expected=wanted.expected)
        targets += [wanted.action, *done["done"]]
        return JSONResponse(done)

    router.add_api_route("/bulk", act, methods=["POST"], **answers(BulkDone))
    return router
