"""Errors as the API answers them: one JSON shape, one status for each class."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from foundations import errors

log = logging.getLogger(__name__)

_STATUS: dict[type[errors.FoundationsError], int] = {
    errors.NotFound: 404,
    errors.Ambiguous: 409,
    errors.Refused: 409,
    errors.Fenced: 410,
    errors.WrongServer: 421,
    errors.BlobsMissing: 422,
    errors.InvalidRequest: 400,
    errors.BundleError: 400,
    errors.UnsafePathError: 400,
    errors.ConfigError: 400,
    errors.VersionMismatch: 426,
    errors.StorageFull: 507,
}


def error_response(error: errors.FoundationsError) -> JSONResponse:
    """Return the response that `error` is told by."""
    status = next((_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS), 500)
    content = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "details": error.details,
    }
    return JSONResponse({"error": content}, status)


def install(app: FastAPI) -> None:
    """Make every error of `app` answer in the one shape."""

    @app.exception_handler(errors.FoundationsError)
    def known(_: Request, error: errors.FoundationsError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        message = f"{where or 'The request'}: {first['msg']}."
        return error_response(errors.InvalidRequest(message))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        text = f"{request.method} {request.url.path}: {error.detail}."
        answer = error_response(errors.NotFound(text))
        answer.status_code = error.status_code
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        text = "The server met an unexpected error; its log has the details."
        return error_response(errors.ServerError(text, "See: atlas-server logs"))
