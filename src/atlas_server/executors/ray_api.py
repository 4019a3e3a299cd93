"""Ray's HTTP API, as its dashboard offers it: no package of Ray's is needed here."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from atlas_server.executor_settings import RaySettings
from atlas_server.executors.engine import EngineAway, EngineRefused

# Ray answers 500 to what it does not take, with a traceback; these are its last words then.
_REFUSAL = re.compile(r"^(?:ValueError|TypeError|KeyError): (.+)$", re.MULTILINE)
_USUAL_FILE = ".ray/auth_token"


class NotThere(Exception):
    """Ray knows no job of this name."""


class RayApi:
    """Requests to one cluster; `environment` is the server's, where Ray's own variables count."""

    def __init__(self, settings: RaySettings, environment: Mapping[str, str]) -> None:
        where = urlsplit(settings.address)
        self._settings = settings
        self._environment = environment
        self._host, self._port = where.hostname or "", where.port
        self._prefix = where.path.rstrip("/")
        self._is_safe = where.scheme == "https"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON that Ray answers.

        Raises EngineAway, EngineRefused with Ray's own words, or NotThere.
        """
        headers = {"Accept": "application/json"}
        token = self._token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection = self._connection()
            try:
                connection.request(method, self._prefix + path, data, headers)
                response = connection.getresponse()
                return self._read(response.status, response.read())
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise EngineAway(f"{self._settings.address}: {_why(error)}") from error

    def _connection(self) -> http.client.HTTPConnection:
        if not self._is_safe:
            return http.client.HTTPConnection(
                self._host, self._port, timeout=self._settings.patience
            )
        context = ssl.create_default_context()
        if self._settings.ca_file is not None:
            context.load_verify_locations(self._settings.ca_file)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._settings.patience, context=context
        )

    def _token(self) -> str:
        """Return what shows Ray who we are: from where it is set, else from where Ray looks."""
        named = self._settings.token_file
        if named is None:
            given = self._environment.get("RAY_AUTH_TOKEN", "").strip()
            if given:
                return given
            named = self._environment.get("RAY_AUTH_TOKEN_PATH")
        path = Path(named or os.path.join(self._environment.get("HOME", ""), _USUAL_FILE))
        try:
            return path.expanduser().read_text().strip()
        except OSError as error:
            if named is None:
                return ""  # Ray may ask for none
            raise EngineAway(f"its token cannot be read: {path}: {error.strerror}") from error

    def _read(self, status: int, data: bytes) -> Any:
        text = data.decode(errors="replace")
        if status < 300:
            try:
                return json.loads(text) if text else None
            except ValueError as error:
                raise EngineAway(f"{self._settings.address} is not Ray's dashboard") from error
        if status in (401, 403):
            raise EngineAway(
                f"{self._settings.address} does not accept our token: {_line(text)}"
                " (token_file, or RAY_AUTH_TOKEN)"
            )
        if status == 404:
            raise NotThere(_line(text))
        said = _REFUSAL.findall(text)
        if status in (400, 500) and said:
            raise EngineRefused(said[-1].strip().rstrip("."))
        raise EngineAway(f"{self._settings.address} answers {status}: {_line(text)}")


def _line(text: str) -> str:
    """Return the last line that says something, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" .")]
    return lines[-1][:200] if lines else "nothing"


def _why(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "does not answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
