"""The OpenAPI description, from which the GUI's types are made: what each endpoint answers.

Endpoints answer JSON that is ready, so that nothing is checked and copied on the way out; `answers`
only notes the type of it. The types are looked at when somebody asks for the description: doing so
at every start would take longer than the rest of the start.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from typing_extensions import TypedDict

_MARK = "x-answer"
_REFERENCE = "#/components/schemas/{model}"
_shapes: dict[str, Any] = {}


class ErrorTold(TypedDict):
    """What went wrong: one line, what to do about it, and facts for programs."""

    code: str
    message: str
    hint: str
    details: dict[str, Any]


class ErrorAnswer(TypedDict):
    """Every error."""

    error: ErrorTold


def answers(shape: Any) -> dict[str, Any]:
    """Return what tells a route that its successful answers are `shape`, for `add_api_route`."""
    name = shape.__name__
    assert _shapes.setdefault(name, shape) is shape, f"two shapes are called {name}"
    return {"response_model": None, "openapi_extra": {_MARK: name}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - as said above

    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    wanted: set[str] = {ErrorAnswer.__name__}
    for path in document["paths"].values():
        for operation in path.values():
            shape = operation.pop(_MARK, None)
            wanted |= {shape} if shape else set()
            _describe_answers(operation["responses"], shape)
    shapes = {**_shapes, ErrorAnswer.__name__: ErrorAnswer}
    inputs: Any = [(name, "serialization", TypeAdapter(shapes[name])) for name in sorted(wanted)]
    _, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _describe_answers(responses: dict[str, Any], shape: str | None) -> None:
    if shape is not None:
        success = next(status for status in responses if status.startswith("2"))
        responses[success]["content"] = _json(shape)
    responses.pop("422", None)
    responses["default"] = {"description": "Error", "content": _json(ErrorAnswer.__name__)}


def _json(shape: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=shape)}}}
