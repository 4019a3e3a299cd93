"""Tells when processes end that are nobody's children here."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

from atlas_runner.descendants import process_alive


class ExitWatch:
    """Tells when a watched process ends; without pidfds the scheduler looks by itself."""

    def __init__(self) -> None:
        self._ended: Callable[[str], None] = lambda _: None
        self._lock = threading.Lock()
        self._watched: dict[str, int] = {}
        able = hasattr(select, "epoll") and hasattr(os, "pidfd_open")
        self._epoll = select.epoll() if able else None

    def start(self, ended: Callable[[str], None]) -> None:
        """Call `ended`, in a thread, for every watched process that ends."""
        self._ended = ended
        if self._epoll is not None:
            threading.Thread(target=self._run, name="runner-exits", daemon=True).start()

    def watch(self, handle: str) -> None:
        """Tell once when the process of `handle` ends."""
        if self._epoll is None:
            return
        with self._lock:
            if handle in self._watched:
                return
            try:
                fd = os.pidfd_open(int(handle.split(":", maxsplit=1)[0]))
            except OSError:
                fd = -1
            else:
                self._watched[handle] = fd
                self._epoll.register(fd, select.EPOLLIN)
        # The number may have gone to another process before the pidfd was open.
        if fd < 0 or not process_alive(handle):
            self._ended(handle)

    def close(self) -> None:
        """Forget every process."""
        with self._lock:
            for fd in self._watched.values():
                os.close(fd)
            self._watched.clear()

    def _run(self) -> None:
        assert self._epoll is not None
        while True:
            ready = {fd for fd, _ in self._epoll.poll()}
            with self._lock:
                ended = [handle for handle, fd in self._watched.items() if fd in ready]
                for handle in ended:
                    os.close(self._watched.pop(handle))
            for handle in ended:
                self._ended(handle)
