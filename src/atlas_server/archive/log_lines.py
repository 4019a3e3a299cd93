"""Lines of logs by number, and what is looked for in them, in files of any size.

Beside a log stands an index: how many lines end in each of its first MiB, in the first two, and so
on. A line is found by reading one MiB; the index is made when somebody first asks, and grows.
"""

from __future__ import annotations

import sys
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas_server.archive.logs import LogArchive

_BLOCK = 1 << 20
_LONGEST_LINE = 16 * 1024  # bytes of a line that are shown
_LARGEST_ANSWER = 2 << 20

Finder = Callable[[bytes], "Iterator[tuple[int, int]]"]
"""Where in some bytes a pattern is found: (begin, end), in order."""


@dataclass(frozen=True, slots=True)
class LineWindow:
    """Lines from number `first`, which begins at byte `offset`; `cut` are indexes of cut ones."""

    first: int
    offset: int
    lines: list[bytes]
    cut: list[int]
    total: int
    size: int


@dataclass(frozen=True, slots=True)
class Match:
    """The first match in a line: its number and offset, and the bytes of the match in it."""

    line: int
    offset: int
    begin: int
    end: int
    text: bytes


class LogLines:
    """Reads logs by lines."""

    def __init__(self, logs: LogArchive) -> None:
        self._logs = logs
        self._lock = threading.Lock()

    def window(self, job_id: str, attempt: int, first: int, count: int) -> LineWindow:
        """Return `count` lines from number `first`, counted from the end where it is negative.

        There may be fewer where they are long.
        """
        log = _Log(self._logs, job_id, attempt, self._lock)
        total = log.total()
        first = max(0, total + first) if first < 0 else min(first, total)
        offset = log.offset_of(first)
        lines: list[bytes] = []
        cut: list[int] = []
        taken = 0
        for line, whole in log.lines_from(offset):
            if len(lines) == count or taken >= _LARGEST_ANSWER:
                break
            if not whole:
                cut.append(len(lines))
            lines.append(line)
            taken += len(line)
        return LineWindow(first, offset, lines, cut, total, log.size)

    def search(
        self, job_id: str, attempt: int, find: Finder, offset: int, limit: int, budget: int
    ) -> tuple[list[Match], int | None]:
        """Return matches, one a line, from the line at `offset` on, and where to go on.

        At most `limit`, in `budget` bytes; None where the end was reached.
        """
        log = _Log(self._logs, job_id, attempt, self._lock)
        found: list[Match] = []
        position = log.line_start(offset)
        number = log.line_of(position)
        end = min(log.size, position + budget)
        while position < end:
            block = log.whole_lines(position)
            for match in _matches(block, find, number, position):
                if len(found) == limit:
                    return found, match.offset
                found.append(match)
            number += block.count(b"\n")
            position += len(block)
        return found, position if position < log.size else None


class _Log:
    """One log as it stands now."""

    def __init__(self, logs: LogArchive, job_id: str, attempt: int, lock: threading.Lock) -> None:
        self._read = lambda offset, limit: logs.read(job_id, attempt, offset, limit)
        self.size = logs.length(job_id, attempt)
        self._ends = _ends(logs.index_path(job_id, attempt), self.size, self._read, lock)

    def total(self) -> int:
        """How many lines there are; the last one may not have ended."""
        if not self.size:
            return 0
        tail = self._read(len(self._ends) * _BLOCK, _BLOCK)
        ended = self._before(len(self._ends)) + tail.count(b"\n")
        return ended if self._read(self.size - 1, 1) == b"\n" else ended + 1

    def offset_of(self, line: int) -> int:
        """The byte at which a line begins; the log's size for one that is not there yet."""
        if line <= 0:
            return 0
        block = bisect_left(self._ends, line)
        data = self._read(block * _BLOCK, _BLOCK)
        parts = data.split(b"\n", line - self._before(block))
        if len(parts) <= line - self._before(block):
            return self.size
        return block * _BLOCK + len(data) - len(parts[-1])

    def line_of(self, offset: int) -> int:
        """The number of the line that begins at a byte."""
        block = min(offset // _BLOCK, len(self._ends))
        data = self._read(block * _BLOCK, offset - block * _BLOCK)
        return self._before(block) + data.count(b"\n")

    def line_start(self, offset: int) -> int:
        """The byte at which the line begins that `offset` is in."""
        position = min(max(0, offset), self.size)
        while position > 0:
            begin = max(0, position - _BLOCK)
            at = self._read(begin, position - begin).rfind(b"\n")
            if at >= 0:
                return begin + at + 1
            position = begin
        return 0

    def lines_from(self, offset: int) -> Iterator[tuple[bytes, bool]]:
        """Yield lines without their ends, cut where they are long, and whether they are whole."""
        line, seen = b"", 0
        while data := self._read(offset, _BLOCK):
            offset += len(data)
            *ended, rest = data.split(b"\n")
            for part in ended:
                whole = line + part[: max(0, _LONGEST_LINE - len(line))]
                yield whole, seen + len(part) == len(whole)
                line, seen = b"", 0
            line += rest[: max(0, _LONGEST_LINE - len(line))]
            seen += len(rest)
        if seen:
            yield line, seen == len(line)

    def whole_lines(self, offset: int) -> bytes:
        """Bytes from `offset` on that end with a line, or with the log, or in a very long line."""
        data = self._read(offset, _BLOCK)
        if offset + len(data) >= self.size:
            return data
        end = data.rfind(b"\n") + 1
        return data[:end] if end else data

    def _before(self, block: int) -> int:
        """How many lines end before a block."""
        return self._ends[block - 1] if block else 0


def _ends(
    path: Path, size: int, read: Callable[[int, int], bytes], lock: threading.Lock
) -> array[int]:
    """How many lines end in the first block, in the first two, ...: whole blocks alone."""
    blocks = size // _BLOCK
    known = array("Q")
    with lock:
        if path.exists():
            data = path.read_bytes()
            known.frombytes(data[: len(data) // 8 * 8])
            if sys.byteorder == "big":
                known.byteswap()
        del known[blocks:]
        if len(known) < blocks:
            for block in range(len(known), blocks):
                ended = read(block * _BLOCK, _BLOCK).count(b"\n")
                known.append((known[-1] if known else 0) + ended)
            _keep(path, known)
    return known


def _keep(path: Path, known: array[int]) -> None:
    kept = array("Q", known)
    if sys.byteorder == "big":
        kept.byteswap()
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(kept.tobytes())
        partial.replace(path)
    except OSError:
        # No room, or the job was deleted: it is counted again next time.
        partial.unlink(missing_ok=True)


def _matches(block: bytes, find: Finder, number: int, position: int) -> Iterator[Match]:
    """One match for each line of a block that has any."""
    counted, line_end = 0, -1
    for begin, end in find(block):
        if begin < line_end:
            continue
        start = block.rfind(b"\n", 0, begin) + 1
        line_end = block.find(b"\n", begin)
        line_end = len(block) if line_end < 0 else line_end
        number += block.count(b"\n", counted, start)
        counted = start
        yield Match(
            number,
            position + start,
            begin - start,
            min(end, line_end) - start,
            block[start:line_end],
        )
