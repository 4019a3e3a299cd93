"""The server's log as a file of bounded size, whoever else appends to it.

Runners and the fork server have inherited the open file and keep it longer than the server lives.
So the file stays what it is: its lines are copied to an older one, and it is emptied in place.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SIZE = 10 << 20
_OLDER = 4


class LogHandler(logging.StreamHandler[IO[str]]):
    """Writes to standard error; where that is the file `path`, it never grows far beyond `size`."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        super().__init__(sys.stderr)
        self._path = path
        self._size = self._limit = size
        self._is_file = _is_open_as(sys.stderr.fileno(), path)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and make room where it was one too many."""
        super().emit(record)
        if not self._is_file:
            return
        try:
            size = os.fstat(sys.stderr.fileno()).st_size
            if size > self._limit:
                # Where that fails (a full disk), it is not tried again for every line.
                self._limit = size + self._size
                _rotate(self._path)
                self._limit = self._size
        except OSError:
            self.handleError(record)


def lines(path: Path) -> Iterator[str]:
    """Yield every line that is kept of a log, the oldest first. Raises FileNotFoundError."""
    with path.open(errors="replace") as newest:
        for older in reversed(_older(path)):
            if older.exists():
                with older.open(errors="replace") as file:
                    yield from file
        yield from newest


def _older(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}.{number}") for number in range(1, _OLDER + 1)]


def _rotate(path: Path) -> None:
    """Move what a log has to an older one. Whoever is killed here leaves some lines twice."""
    older = _older(path)
    partial = path.with_name(f"{path.name}.partial")
    with path.open("rb+") as log, partial.open("wb") as copy:
        os.fchmod(copy.fileno(), 0o600)
        shutil.copyfileobj(log, copy)
        for newer, there in reversed(list(itertools.pairwise(older))):
            if newer.exists():
                newer.replace(there)
        partial.replace(older[0])
        # Others have written meanwhile: to the very end, and empty it in the same breath.
        shutil.copyfileobj(log, copy)
        log.truncate(0)


def _is_open_as(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
