"""The endpoint of curves."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.curves import Curves
from atlas_server.domain.rights import Right
from atlas_server.services.curves import CurveAsked, CurveReads

_Number = Annotated[float, Field(allow_inf_nan=False)]


class CurveWanted(BaseModel):
    """One curve; with `after` only the points after that one."""

    model_config = ConfigDict(extra="forbid")

    job: str
    metric: str
    after: Annotated[int, Field(ge=0, lt=1 << 62)] = 0


class CurvesWanted(BaseModel):
    """Curves, with `points` points of each at most, on a part of an axis where one is given."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    curves: Annotated[list[CurveWanted], Field(max_length=500)]
    points: Annotated[int, Field(ge=10, le=100_000)] = 1000
    axis: Literal["step", "time", "seq"] = "step"
    first: Annotated[_Number | None, Field(alias="from")] = None
    last: Annotated[_Number | None, Field(alias="to")] = None


def routes(reads: CurveReads) -> APIRouter:
    """Return the endpoint."""
    router = Router(tags=["curves"])

    @needs(Right.READ)
    def curves(wanted: CurvesWanted) -> Response:
        """Return curves of metrics, of several jobs where that is asked for."""
        asked = [CurveAsked(one.job, one.metric, one.after) for one in wanted.curves]
        found = reads.curves(asked, wanted.points, wanted.axis, wanted.first, wanted.last)
        return JSONResponse(found)

    router.add_api_route("/curves", curves, methods=["POST"], **answers(Curves))
    return router
