"""A way to a container engine that somebody can cut at any of its requests."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import tempfile
import threading
from pathlib import Path

_CHUNK = 1 << 16


class Gateway:
    """Passes on what is said to an engine; a context manager.

    `cut` names a request, as in b"/start HTTP": from the first one on the engine cannot be reached,
    until `open`. `answered`: the engine has carried that one out, and only its answer is lost.
    """

    def __init__(self, engine: str = "/var/run/docker.sock") -> None:
        # Not below a test's folder: Linux allows 107 bytes for the name of a socket.
        self.home = Path(tempfile.mkdtemp(prefix="atlas-gateway-"))
        self.socket = self.home / "docker.sock"
        self.env = {"DOCKER_HOST": f"unix://{self.socket}"}
        self.was_cut = threading.Event()
        self._engine = engine
        self._request = b""
        self._answered = False
        self._listening: socket.socket | None = None
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Gateway:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        shutil.rmtree(self.home)

    def cut(self, request: bytes, *, answered: bool) -> None:
        """Be away from the next such request on."""
        self._request, self._answered = request, answered

    def open(self) -> None:
        """Let requests through."""
        self._request = b""
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.socket))
        self._listening.listen(64)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def _close(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            self.socket.unlink()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                inner, _ = listening.accept()
            except OSError:
                return
            self._connections.append(inner)
            threading.Thread(target=self._serve, args=(inner,), daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        with inner, socket.socket(socket.AF_UNIX) as outer, contextlib.suppress(OSError):
            outer.connect(self._engine)
            while True:
                ready, _, _ = select.select([inner, outer], [], [])
                for source in ready:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    if source is inner and self._request and self._request in data:
                        if self._answered:
                            outer.sendall(data)
                            outer.recv(_CHUNK)
                        self._close()
                        self.was_cut.set()
                        return
                    (outer if source is inner else inner).sendall(data)
