"""News of files as they are written, from the Linux kernel; no polling and no dependency."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Self

_IN_MODIFY = 0x2
_IN_CLOSE_WRITE = 0x8
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_Q_OVERFLOW = 0x4000
_WRITES = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE

# struct inotify_event: watch, mask, cookie, length of the name that follows.
_EVENT = struct.Struct("iIII")


def available() -> bool:
    """Whether this system has inotify."""
    return sys.platform.startswith("linux")


class Watcher:
    """Tells which of the watched files, or files of the watched folders, have been written to.

    `fileno` is readable while there is news, so it goes into a poll beside other descriptors.
    Raises OSError where there is no inotify or the user's share of it is used up.
    """

    def __init__(self) -> None:
        if not available():
            raise OSError("This system has no inotify.")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _last_error()
        self._paths: dict[int, str] = {}

    def add(self, path: str | os.PathLike[str]) -> None:
        """Watch a file, or a folder for its direct entries. Raises OSError if there is none."""
        name = os.fspath(path)
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(name), _WRITES)
        if watch < 0:
            raise _last_error(name)
        self._paths[watch] = name

    def fileno(self) -> int:
        """Return the descriptor that is readable while there is news."""
        return self._fd

    def read_events(self) -> list[str]:
        """Return the paths written to since the last call, each once; empty when there is no news.

        A path begins as it was given to `add`. When the kernel had to drop news, all watched
        files and folders are returned: the caller looks at everything again.
        """
        found: dict[str, None] = {}
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return list(found)
            found.update(dict.fromkeys(self._decode(data)))

    def _decode(self, data: bytes) -> list[str]:
        names: list[str] = []
        offset = 0
        while offset < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size
            name = data[offset : offset + length].rstrip(b"\0")
            offset += length
            if mask & _IN_Q_OVERFLOW:
                names.extend(self._paths.values())
            elif mask & _WRITES and watch in self._paths:
                path = self._paths[watch]
                names.append(os.path.join(path, os.fsdecode(name)) if name else path)
        return names

    def close(self) -> None:
        """End all watches. Closing twice does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _last_error(path: str | None = None) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)
