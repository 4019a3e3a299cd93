"""What a container prints, written to the job's log byte by byte, across every interruption."""

from __future__ import annotations

import logging
import struct
import threading
import time
from pathlib import Path

from atlas_runner.engine import Engine, words
from atlas_runner.errors import StartFailed

log = logging.getLogger(__name__)

_CHUNK = 256 * 1024
_AWAY_INTERVAL = 0.5
# The head of each piece of output: which stream, three bytes of nothing, its length.
_HEAD = struct.Struct(">BxxxI")


class LogPump:
    """A thread that follows the engine's log of a container.

    The engine keeps what was printed, and tells it again from the beginning: `written` counts the
    bytes that are in the file, so that whoever comes later passes over them. `tty` containers have
    one stream without heads.
    """

    def __init__(self, path: Path, written: int = 0, *, tty: bool = False) -> None:
        self._path = path
        self._written = written
        self._tty = tty
        self._over = threading.Event()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, engine: Engine, container_id: str) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(
            target=self._run, args=(engine, container_id), name="container-log", daemon=True
        )
        self._thread.start()

    def drain(self, patience: float) -> None:
        """Return once all is written that an ended container has printed.

        Gives up when nothing has come for `patience` seconds.
        """
        assert self._thread is not None
        self._over.set()
        while self._thread.is_alive():
            self._news.clear()
            self._thread.join(0.005)
            if self._thread.is_alive() and not self._news.wait(patience):
                log.warning("The engine does not tell the end of a container's log.")
                return

    def _run(self, engine: Engine, container_id: str) -> None:
        while True:
            ended_before = self._over.is_set()
            try:
                with words():
                    self._follow(engine, container_id)
            except StartFailed as error:
                if ended_before:
                    log.warning("The end of a container's log is lost: %s", error.message)
                    break
                time.sleep(_AWAY_INTERVAL)
            except OSError as error:
                # No room for the log: the job goes on, and what it prints is kept by the engine.
                log.warning("The job's log cannot be written: %s", error)
                time.sleep(_AWAY_INTERVAL)
            else:
                if ended_before:
                    break
                # The engine hung up: the container has ended, or the engine has.
                self._over.wait(_AWAY_INTERVAL)
        self._news.set()

    def _follow(self, engine: Engine, container_id: str) -> None:
        api = engine.api
        response = api.get(
            f"{api.base_url}/v{api.api_version}/containers/{container_id}/logs",
            params={"follow": 1, "stdout": 1, "stderr": 1},
            stream=True,
            timeout=(60, None),
        )
        with response, self._path.open("ab", buffering=0) as file:
            response.raise_for_status()
            pieces = _Pieces(self._tty)
            passed = 0
            for data in response.raw.stream(_CHUNK, decode_content=False):
                for piece in pieces.take(data):
                    passed += len(piece)
                    new = passed - self._written
                    if new > 0:
                        file.write(piece[-new:])
                        self._written = passed
                        self._news.set()


class _Pieces:
    """Takes the engine's frames apart."""

    def __init__(self, raw: bool) -> None:
        self._raw = raw
        self._rest = b""
        self._left = 0

    def take(self, data: bytes) -> list[bytes]:
        """Return the printed bytes in `data`, which begins and ends anywhere."""
        if self._raw:
            return [data]
        found: list[bytes] = []
        data = self._rest + data
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                found.append(piece)
                self._left -= len(piece)
                at += len(piece)
            elif len(data) - at >= _HEAD.size:
                self._left = _HEAD.unpack_from(data, at)[1]
                at += _HEAD.size
            else:
                break
        self._rest = data[at:]
        # One write for what came together.
        return [b"".join(found)] if found else []
