"""Where clients and runners of this machine find the API, as long as any process has one."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import Any

from atlas_server.config import ServerConfig
from foundations.locks import is_locked

log = logging.getLogger(__name__)

_INTERVAL = 0.5


class Signpost:
    """Writes down what a process is, and points to it where it points to nobody who lives."""

    def __init__(self, config: ServerConfig, facts: dict[str, Any]) -> None:
        self._config = config
        self._facts = facts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="signpost", daemon=True)

    def start(self) -> None:
        """Write it down now."""
        self._write(self._config.state_file.name)
        # The one process of a server without others need not look after it.
        if self._config.serves and self._config.database_url is not None:
            self._point()
            self._thread.start()

    def close(self) -> None:
        """Point here no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if (read(self._config) or {}).get("name") == self._config.name:
            self._config.signpost.unlink(missing_ok=True)
        if self._config.state_file != self._config.signpost:
            self._config.state_file.unlink(missing_ok=True)

    def _keep(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            try:
                self._point()
            except OSError as error:
                log.warning("Clients may not find this process: %s", error)

    def _point(self) -> None:
        found = read(self._config)
        if found is None or not is_locked(_lock_of(self._config, found)):
            self._write(self._config.signpost.name)

    def _write(self, name: str) -> None:
        partial = self._config.run_dir / f"{self._config.name}.partial"
        partial.write_text(json.dumps(self._facts))
        partial.replace(self._config.run_dir / name)


def read(config: ServerConfig) -> dict[str, Any] | None:
    """Return the facts of the process that clients are led to, None where there is none."""
    try:
        found = json.loads(config.signpost.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _lock_of(config: ServerConfig, facts: dict[str, Any]) -> Any:
    return replace(config, name=str(facts.get("name", "server"))).lock_file
