"""What a container prints, written to the job's log byte by byte, across every interruption."""

from __future__ import annotations

import logging
import struct
import threading
import time
from pathlib import Path
from typing import IO

from atlas_runner.engine import Engine, words
from atlas_runner.errors import EngineUnavailable, StartFailed

log = logging.getLogger(__name__)

_CHUNK = 256 * 1024
_AWAY_INTERVAL = 0.5
_BEGINNING = 300
# The head of each piece of output: which stream, three bytes of nothing, its length.
_HEAD = struct.Struct(">BxxxI")


class LogPump:
    """A thread that follows the engine's log of a container.

    The engine keeps what was printed, and tells it again from the beginning: `written` counts the
    bytes that are in the file, so that whoever comes later passes over them. `tty` containers have
    one stream without heads. `beginning` holds the first bytes that were printed.
    """

    def __init__(self, path: Path, written: int = 0, *, tty: bool = False) -> None:
        self.beginning = b""
        self._path = path
        self._written = written
        self._tty = tty
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._engine: Engine | None = None
        self._container = ""

    def start(self, engine: Engine, container_id: str) -> None:
        """Begin to follow."""
        self._engine, self._container = engine, container_id
        threading.Thread(target=self._run, name="container-log", daemon=True).start()

    def drain(self) -> None:
        """Write the rest of what an ended container has printed.

        It is read once more: who follows the engine's log may wait for its end, or miss it.
        """
        with self._lock:
            self._over.set()
        while True:
            try:
                with words():
                    self._read(follow=False)
            except EngineUnavailable:
                time.sleep(_AWAY_INTERVAL)
                continue
            except (StartFailed, OSError) as error:
                log.warning("The end of a container's log is lost: %s", error)
            return

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with words():
                    self._read(follow=True)
            except StartFailed:
                pass  # the engine is away, or the container is gone
            except OSError as error:
                # No room for the log: the job goes on, and what it prints is kept by the engine.
                log.warning("The job's log cannot be written: %s", error)
            # The engine hung up: the container has ended, or the engine has.
            self._over.wait(_AWAY_INTERVAL)

    def _read(self, *, follow: bool) -> None:
        assert self._engine is not None
        api = self._engine.api
        response = api.get(
            f"{api.base_url}/v{api.api_version}/containers/{self._container}/logs",
            params={"follow": int(follow), "stdout": 1, "stderr": 1},
            stream=True,
            timeout=(60, None),
        )
        with response, self._path.open("ab", buffering=0) as file:
            if not response.ok:
                raise StartFailed(f"The engine refuses the log: {response.text.strip()}")
            pieces = _Pieces(self._tty)
            passed = 0
            for data in response.raw.stream(_CHUNK, decode_content=False):
                for piece in pieces.take(data):
                    with self._lock:
                        if follow and self._over.is_set():
                            return
                        self._take(file, passed, piece)
                    passed += len(piece)

    def _take(self, file: IO[bytes], passed: int, piece: bytes) -> None:
        """Write what of `piece`, which follows `passed` bytes of output, is new."""
        if passed < _BEGINNING:
            self.beginning = (self.beginning[:passed] + piece)[:_BEGINNING]
        new = passed + len(piece) - self._written
        if new > 0:
            data = piece[-new:]
            while data:  # a disk that is nearly full takes less than it is given
                taken = file.write(data)
                self._written += taken
                data = data[taken:]


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
