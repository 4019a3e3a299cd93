"""Errors as the API answers them: one JSON shape, one status for each class."""

from __future__ import annotations

import json
import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from foundations import errors
from foundations._version import __version__
from foundations.contract.version import SERVER_HEADER

log = logging.getLogger(__name__)

_STATUS: dict[type[Exception], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.TooManyAttempts: 429,
    errors.NotFound: 404,
    errors.Removed: 410,
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
    errors.Unavailable: 503,
}


def status_of(error: Exception) -> int:
    """Return the status that `error` is answered with."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return _STATUS[errors.InvalidRequest]
    return next((_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS), 500)


def error_response(error: errors.FoundationsError) -> Response:
    """Return the response that `error` is told by."""
    content = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "details": error.details,
    }
    # As ASCII: what was sent and is quoted need not be text that UTF-8 can carry.
    body = json.dumps({"error": content})
    return Response(body, status_of(error), _headers(error), media_type="application/json")


def _headers(error: errors.FoundationsError) -> dict[str, str]:
    headers = {SERVER_HEADER: __version__}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.TooManyAttempts):
        headers["Retry-After"] = str(error.details.get("wait", 1))
    return headers


def install(app: FastAPI) -> None:
    """Make every error of `app` answer in the one shape."""

    @app.exception_handler(errors.FoundationsError)
    def known(_: Request, error: errors.FoundationsError) -> Response:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        message = f"{where or 'The request'}: {first['msg']}."
        return error_response(errors.InvalidRequest(message))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        text = f"{request.method} {request.url.path}: {error.detail}."
        known = error.status_code in (404, 405)
        answer = error_response(errors.NotFound(text) if known else errors.InvalidRequest(text))
        answer.status_code = error.status_code
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        text = "The server met an unexpected error; its log has the details."
        return error_response(errors.ServerError(text, "See: atlas-server logs"))
