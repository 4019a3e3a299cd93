"""How the server's log looks: lines for people, or JSON objects for programs."""

from __future__ import annotations

import json
import logging
import re
import time
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""

TEXT, JSON = "text", "json"
_JOB = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def configure(log_format: str) -> None:
    """Write the log to standard error, which is the log file of a server in the background."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if log_format == JSON else _Text())
    handler.addFilter(_is_trouble)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _is_trouble(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says of streams that end because the server does."""
    if record.name != "uvicorn.error":
        return True
    raised = record.exc_info[0] if record.exc_info else None
    cancelled = raised is not None and raised.__name__ == "CancelledError"
    return not cancelled and "timeout graceful shutdown exceeded" not in str(record.msg)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the request that it is about."""
        text = super().format(record)
        return f"{text} [request {request_id.get()}]" if request_id.get() else text


class _Json(logging.Formatter):
    """An object a line: time, level, logger, message; request, job and exception where known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told = {
            "time": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if request_id.get():
            told["request_id"] = request_id.get()
        job = _JOB.search(message)
        if job:
            told["job_id"] = job[0]
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)
