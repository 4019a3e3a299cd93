"""What a container prints, written to the job's log byte by byte, across every interruption."""

from __future__ import annotations

import logging
import struct
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from atlas_runner.engine import Engine, words
from atlas_runner.errors import EngineUnavailable, StartFailed

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

_CHUNK = 256 * 1024
_AWAY_INTERVAL = 0.5
_BEGINNING = 300
# The head of each piece of output: which stream, three bytes of nothing, its length.
_HEAD = struct.Struct(">BxxxI")
# The time in front of each piece, as in "2026-01-02T03:04:05.000000000Z ".
_TIME_BYTES = 31
# How much of what came last is remembered, and how many pieces are asked for at the end: among them
# it must be found.
_REMEMBERED = 4096
_LAST_PIECES = 5000
# Seconds without anything new after which the engine is taken to have forgotten its listener.
_PATIENCE = 2.0


class LogPump:
    """A thread that follows the engine's log of a container.

    The engine keeps what was printed, and tells it again from the beginning: `written` counts the
    bytes that are in the file, so that whoever comes later passes over them. `tty` containers have
    one stream without heads. `beginning` holds the first bytes that were printed.

    Each piece of output is asked for with its time, by which it is known at the end: then only the
    last of them are read again, not millions.
    """

    def __init__(self, path: Path, written: int = 0, *, tty: bool = False) -> None:
        self.beginning = b""
        self._path = path
        self._written = written
        self._tty = tty
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._idle = threading.Event()
        self._received = 0
        # What came last, with heads and times, and how many bytes were printed up to its end.
        self._last = b""
        self._passed = 0
        self._engine: Engine | None = None
        self._container = ""

    def start(self, engine: Engine, container_id: str) -> None:
        """Begin to follow."""
        self._engine, self._container = engine, container_id
        threading.Thread(target=self._run, name="container-log", daemon=True).start()

    def drain(self) -> None:
        """Write the rest of what an ended container has printed.

        Its end is read once more: who follows the engine's log may wait for its end, or miss it.
        """
        self._await_follower()
        with self._lock:
            self._over.set()
        while True:
            try:
                with words():
                    if not self._read_end():
                        self._read(follow=False)
            except EngineUnavailable:
                time.sleep(_AWAY_INTERVAL)
                continue
            except (StartFailed, OSError) as error:
                log.warning("The end of a container's log is lost: %s", error)
            return

    def _await_follower(self) -> None:
        """Let the thread come to the end of what it reads, as long as there is something."""
        before = -1
        while before != self._received:
            before = self._received
            if self._idle.wait(_PATIENCE):
                return

    def _run(self) -> None:
        while not self._over.is_set():
            self._idle.clear()
            try:
                with words():
                    self._read(follow=True)
            except StartFailed:
                pass  # the engine is away, or the container is gone
            except OSError as error:
                # No room for the log: the job goes on, and what it prints is kept by the engine.
                log.warning("The job's log cannot be written: %s", error)
            # The engine hung up: the container has ended, or the engine has.
            self._idle.set()
            self._over.wait(_AWAY_INTERVAL)

    def _read(self, *, follow: bool) -> None:
        with self._open(follow=int(follow)) as response, self._appending() as file:
            pieces = self._pieces()
            self._last, self._passed = b"", 0
            for data in response.raw.stream(_CHUNK, decode_content=False):
                piece = pieces.take(data)
                with self._lock:
                    if follow and self._over.is_set():
                        return
                    self._take(file, piece)
                    self._last = pieces.last
                self._received += len(piece)

    def _read_end(self) -> bool:
        """Read the last pieces, write those that come after what is known; False: it cannot be."""
        if not self._last:
            return False
        with self._open(follow=0, tail=_LAST_PIECES) as response, self._appending() as file:
            data = b"".join(response.raw.stream(_CHUNK, decode_content=False))
            place = data.rfind(self._last)
            if place < 0:
                return False
            self._take(file, self._pieces().take(data[place + len(self._last) :]))
        return True

    def _pieces(self) -> _Raw | _Pieces:
        if self._tty:
            return _Raw()
        return _Pieces(_TIME_BYTES if self._has_times() else 0)

    def _has_times(self) -> bool:
        """Whether each piece comes with its time, in a form that is known."""
        assert self._engine is not None
        return not self._tty and not self._engine.facts.podman

    def _open(self, **parameters: int) -> requests.Response:
        """Return the engine's answer. Raises StartFailed."""
        assert self._engine is not None
        api = self._engine.api
        response = api.get(
            f"{api.base_url}/v{api.api_version}/containers/{self._container}/logs",
            params={"stdout": 1, "stderr": 1, "timestamps": int(self._has_times()), **parameters},
            stream=True,
            timeout=(60, None),
        )
        if not response.ok:
            with response:
                raise StartFailed(f"The engine refuses the log: {response.text.strip()}")
        return response

    def _appending(self) -> IO[bytes]:
        return self._path.open("ab", buffering=0)

    def _take(self, file: IO[bytes], piece: bytes) -> None:
        """Write what of `piece`, the next that was printed, is new."""
        if self._passed < _BEGINNING:
            self.beginning = (self.beginning[: self._passed] + piece)[:_BEGINNING]
        new = self._passed + len(piece) - self._written
        if new > 0:
            data = piece[-new:]
            while data:  # a disk that is nearly full takes less than it is given
                taken = file.write(data)
                self._written += taken
                data = data[taken:]
        self._passed += len(piece)


class _Raw:
    """Takes the output of a terminal, in which nothing tells pieces apart."""

    last = b""

    def take(self, data: bytes) -> bytes:
        """Return the printed bytes in `data`: all of it."""
        return data


class _Pieces:
    """Takes the engine's pieces of output apart, each with a head and `time` bytes of its time."""

    def __init__(self, time: int) -> None:
        self.last = b""
        """The end of what was taken, as it came; empty without times, which make it unique."""
        self._time = time
        self._rest = b""

    def take(self, data: bytes) -> bytes:
        """Return the printed bytes of the pieces that are whole now; `data` ends anywhere."""
        found: list[bytes] = []
        data = self._rest + data
        at, size = 0, len(data)
        head, time, length = _HEAD.size, self._time, _HEAD.unpack_from
        while size - at >= head:
            end = at + head + length(data, at)[1]
            if end > size:
                break
            found.append(data[at + head + time : end])
            at = end
        self._rest = data[at:]
        if time:
            self.last = (self.last + data[max(0, at - _REMEMBERED) : at])[-_REMEMBERED:]
        return b"".join(found)
