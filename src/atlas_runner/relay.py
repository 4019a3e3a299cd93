"""A job's way to the server's API: a socket in its own folder, passed on byte by byte.

A container without network has no other way; a process uses the same one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from foundations.client.address import Address
from foundations.errors import Unreachable

log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_BACKLOG = 64


class Relay:
    """Listens at `path` for as long as the attempt runs.

    `server` gives the API's address when somebody connects: the server may have come back on
    another port.
    """

    def __init__(self, path: Path, server: Callable[[], str]) -> None:
        self._path = path
        self._server = server
        self._listening: socket.socket | None = None

    def start(self) -> None:
        """Begin to listen; where that is not possible the job goes without."""
        try:
            self._listening = _listen(self._path)
        except OSError as error:
            log.warning("The job cannot ask the server for anything: %s", error)
            return
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that stand end with this process."""
        if self._listening is not None:
            self._path.unlink(missing_ok=True)
            # Closing alone would not wake the thread that waits in accept.
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()

    def _accept(self) -> None:
        assert self._listening is not None
        while True:
            try:
                inner, _ = self._listening.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(inner,), daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        with inner:
            try:
                outer = Address(self._server()).connect()
            except (OSError, Unreachable) as error:
                # Hanging up is what a server that is away looks like, too.
                log.info("A job asked for the server, which is away: %s", error)
                return
            with outer, contextlib.suppress(OSError):
                outer.settimeout(None)
                _pass_on(inner, outer)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By the folder's descriptor: an address has room for 107 bytes only.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
        # A container may run as another user; nobody else gets past the attempt's folder.
        _open_to_all(folder, path.name)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    finally:
        os.close(folder)
    return listening


def _open_to_all(folder: int, name: str) -> None:
    """Change a socket's mode: of the socket itself, whatever a job puts in its place."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISSOCK(os.fstat(found).st_mode):
            os.chmod(f"/proc/self/fd/{found}", 0o666)  # noqa: S103 - see where it is called
    finally:
        os.close(found)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until either side hangs up."""
    ends = {one.fileno(): (one, other), other.fileno(): (other, one)}
    poll = select.poll()
    for descriptor in ends:
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            source, target = ends[descriptor]
            data = source.recv(_CHUNK)
            if not data:
                return
            target.sendall(data)
            # What was decrypted already shows nowhere else.
            while (pending := getattr(source, "pending", None)) is not None and pending():
                target.sendall(source.recv(_CHUNK))
