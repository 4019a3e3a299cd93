"""Keeps jobs from being written down while blobs are removed, in every process of a server."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


class ContentLock:
    """The lock of one content store: a file with a number that grows whenever blobs are removed.

    It is odd from before the first one is removed until after the last, so that others see also
    that somebody was killed in between.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def removals(self) -> int | None:
        """Return the number; None while blobs are removed, or since that was broken off."""
        try:
            with open(self._path, "rb") as file:
                number = int(file.read() or b"0")
        except FileNotFoundError:
            return 0
        return None if number % 2 else number

    @contextmanager
    def kept(self) -> Iterator[int]:
        """Keep blobs from being removed meanwhile; yield the number."""
        with self._held(fcntl.LOCK_SH) as file:
            yield _number(file)

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Remove blobs, while nobody writes down a job that may need them."""
        with self._held(fcntl.LOCK_EX) as file:
            begun = (_number(file) + 1) | 1
            os.pwrite(file, b"%d" % begun, 0)
            try:
                yield
            finally:
                os.pwrite(file, b"%d" % (begun + 1), 0)

    @contextmanager
    def _held(self, how: int) -> Iterator[int]:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, how)
            yield file
        finally:
            os.close(file)


def _number(file: int) -> int:
    return int(os.pread(file, 20, 0) or b"0")
