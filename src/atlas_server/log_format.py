"""How the server's log looks: lines for people, or JSON objects for programs. No secret gets in."""

from __future__ import annotations

import json
import logging
import re
import time
from contextvars import ContextVar
from pathlib import Path

from atlas_server.log_file import LogHandler
from foundations.contract.environment import looks_secret
from foundations.contract.tokens import JOB, LOGIN, PERSONAL, RUNNER, SERVER, SESSION

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""

TEXT, JSON = "text", "json"
_JOB = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")

_OURS = f"{SESSION}|{LOGIN}|{PERSONAL}|{RUNNER}|{JOB}|{SERVER}"
_TOKEN = re.compile(rf"\b({_OURS})[\w-]{{8,}}")
_HEADER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(\w://[^\s/:@]*:)[^\s/]+@")
_HASH = re.compile(r"\$argon2\w*\$[^\s'\"]+")
# A name and its value, as in query strings, environments, dictionaries and settings.
_NAME = re.compile(r"""\b([A-Za-z][\w.-]*)["']?\s?[=:]\s?""")
_VALUE = re.compile(r"""("[^"\n]*"|'[^'\n]*'|[^\s&,;'"})\]]+)""")
_HIDDEN = "***"


def concealed(text: str) -> str:
    """Return a text without what would show somebody to be somebody else.

    Tokens, headers that have them, passwords in addresses, and the values of whatever is called
    like something secret: variables of jobs are told apart by their names alone, too.
    """
    text = _HEADER.sub(rf"\1 {_HIDDEN}", text)
    text = _IN_ADDRESS.sub(rf"\1{_HIDDEN}@", text)
    text = _HASH.sub(_HIDDEN, _TOKEN.sub(rf"\1{_HIDDEN}", text))
    return _without_values(text)


def _without_values(text: str) -> str:
    parts, end = [], 0
    for name in _NAME.finditer(text):
        value = _VALUE.match(text, name.end()) if looks_secret(name[1]) else None
        if value is not None and name.start() >= end:
            parts += [text[end : name.end()], _HIDDEN]
            end = value.end()
    return "".join([*parts, text[end:]])


def configure(log_format: str, file: Path) -> None:
    """Write the log to standard error, which is `file` for a server in the background."""
    handler = LogHandler(file)
    handler.setFormatter(formatter(log_format))
    handler.addFilter(_is_trouble)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _is_trouble(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says of streams that end because the server does."""
    if record.name != "uvicorn.error":
        return True
    raised = record.exc_info[0] if record.exc_info else None
    cancelled = raised is not None and raised.__name__ == "CancelledError"
    return not cancelled and "timeout graceful shutdown exceeded" not in str(record.msg)


def formatter(log_format: str) -> logging.Formatter:
    """Return what makes lines of records."""
    return _Json() if log_format == JSON else _Text()


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the request that it is about."""
        text = concealed(super().format(record))
        return f"{text} [request {request_id.get()}]" if request_id.get() else text


class _Json(logging.Formatter):
    """An object a line: time, level, logger, message; request, job and exception where known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = concealed(record.getMessage())
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
            told["exception"] = concealed(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)
