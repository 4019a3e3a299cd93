"""The logs of attempts: one append-only file each, written at known offsets."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from foundations.disk import size_below
from foundations.errors import StorageFull

_BLOCK = 64 << 10


class LogArchive:
    """Keeps what workers print, byte for byte."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def append(self, job_id: str, attempt: int, offset: int, data: bytes) -> int:
        """Add `data`, which begins at byte `offset` of the log, and return the log's new size.

        Sending the same bytes twice is harmless. Bytes that would leave a gap are not taken:
        the size that comes back tells the sender where to go on. Raises StorageFull.
        """
        path = self._path(job_id, attempt)
        with self._lock:
            size = path.stat().st_size if path.exists() else 0
            fresh = data[max(0, size - offset) :]
            if offset > size or not fresh:
                return size
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    # Another process of the server may be sent the same bytes.
                    fcntl.flock(file, fcntl.LOCK_EX)
                    size = os.fstat(file.fileno()).st_size
                    fresh = data[max(0, size - offset) :]
                    file.write(fresh)
            except OSError as error:
                _truncate(path, size)
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise StorageFull("The server's disk is full; the log waits.") from error
                raise
            return size + len(fresh)

    def written(self) -> Iterator[tuple[str, float]]:
        """Yield the ID of each job that has logs, and when the newest of them was begun."""
        for folder in self._root.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                yield folder.name, folder.stat().st_mtime

    def size(self, job_id: str) -> int:
        """Return what all logs of a job come to, with their indexes."""
        return size_below(str(self._path(job_id, 0).parent))

    def length(self, job_id: str, attempt: int) -> int:
        """Return a log's size in bytes, 0 when nothing has been printed."""
        path = self._path(job_id, attempt)
        return path.stat().st_size if path.exists() else 0

    def read(self, job_id: str, attempt: int, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes of the log from `offset`."""
        path = self._path(job_id, attempt)
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limit)

    def tail_offset(self, job_id: str, attempt: int, lines: int) -> int:
        """Return the offset at which the last `lines` lines begin; the log's size for none."""
        size = self.length(job_id, attempt)
        if lines <= 0:
            return size
        # The newline that ends the log closes its last line, it does not begin another.
        position = size - 1
        while position > 0:
            start = max(0, position - _BLOCK)
            block = self.read(job_id, attempt, start, position - start)
            ended = block.count(b"\n")
            if ended >= lines:
                return start + len(block.rsplit(b"\n", lines)[0]) + 1
            lines -= ended
            position = start
        return 0

    def index_path(self, job_id: str, attempt: int) -> Path:
        """Return where the index of a log's lines is kept; it goes with the log."""
        return self._path(job_id, attempt).with_suffix(".lines")

    def remove(self, job_id: str) -> None:
        """Delete every log of a job."""
        shutil.rmtree(self._path(job_id, 0).parent, ignore_errors=True)

    def _path(self, job_id: str, attempt: int) -> Path:
        return self._root / job_id[:2] / job_id / f"{attempt}.log"


def _truncate(path: Path, size: int) -> None:
    # A log whose first bytes found no room may not exist at all.
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        file.truncate(size)
