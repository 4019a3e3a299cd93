"""Reading a journal while it is written, from where it was last acknowledged."""

from __future__ import annotations

import json
import os
import re

from foundations.contract.environment import TAKEN_IN_FILE
from foundations.contract.events import MAX_LINE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

    Position = Tuple[int, int]

_SUFFIX = ".jsonl"
_EXCERPT_BYTES = 80
_WRITER = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
# Further files of a writer: see contract.events.
_SEGMENT = re.compile(r"(.+)\.([0-9]{6,})\Z")
# The newest files that were read whole and are kept all the same: by then a server has more of what
# came after than a power cut could take from it.
_KEPT = 1
# How much is taken in until it is noted.
_NOTED = 64_000
# Lines that cannot hold anything so deep that it matters.
_SHORT = 200
# Deeper values have no meaning in a table, and would exhaust whoever walks through them.
_DEEPEST = 100


class Batch:
    """Consecutive events of one writer.

    `events[i]` is the writer's line `first_n + i`; its "n" says the same. `end` is the position,
    (bytes, lines), that acknowledging the batch leads to.
    """

    __slots__ = ("end", "events", "first_n", "start", "writer")

    def __init__(self, writer: str, start: Position) -> None:
        self.writer = writer
        self.start = start
        self.end = start
        self.first_n = start[1] + 1
        self.events: List[Dict[str, Any]] = []


class _File:
    """A file of the journal: whose lines are events of `writer`; it is its writer's `number`th."""

    __slots__ = ("is_finished", "number", "size", "writer")

    def __init__(self, writer: str, number: int, size: int) -> None:
        self.writer = writer
        self.number = number
        self.size = size
        self.is_finished = False


class JournalReader:
    """Reads the lines of every writer in `journal_dir` that have not been acknowledged.

    `positions` maps a writer (its file's name without the ending) to (bytes, lines) acknowledged;
    give the attribute of the same name to a new reader to go on where this one stopped. Lines are
    numbered by their place in the file, which makes (writer, number) unique for ever.

    `broken` collects (writer, line number, excerpt) of lines that are no events; each is reported
    once and skipped. The caller may clear it.
    """

    def __init__(
        self, journal_dir: str, positions: Optional[Mapping[str, Sequence[int]]] = None
    ) -> None:
        self.positions: Dict[str, Position] = {
            writer: (position[0], position[1]) for writer, position in (positions or {}).items()
        }
        self.broken: List[Tuple[str, int, str]] = []
        self._journal_dir = journal_dir
        self._reported: Dict[str, int] = {}
        # Size of a file whose unread end holds no whole line: until it changes, stat is enough.
        self._waiting: Dict[str, int] = {}
        self._last_served = ""
        self._skipped = self._went_on = False
        # Files that nobody needs any more, and how many bytes were noted last.
        self._spent: Set[str] = set()
        self._noted = 0

    def read(self, max_bytes: int = 1_000_000, finish: bool = False) -> List[Batch]:
        """Return what is new, at most `max_bytes` of lines, or one line if that is longer.

        Without `advance` the next call returns it again. An unfinished last line is left for later;
        with `finish`, once nobody writes any more, it is an event if it is whole and broken if not.
        An empty list means that there is nothing (more) to read.
        """
        batches = self._read_all(max_bytes, finish)
        while not batches and self._went_on:
            batches = self._read_all(max_bytes, finish)  # what comes after broken lines
        return batches

    def _read_all(self, max_bytes: int, finish: bool) -> List[Batch]:
        batches: List[Batch] = []
        self._went_on = False
        for file in self._pending(finish):
            room = max_bytes - sum(batch.end[0] - batch.start[0] for batch in batches)
            if batches and room <= 0:
                break
            found = self._read_writer(file, room, not batches)
            while not found and self._skipped:
                self._went_on = True
                found = self._read_writer(file, room, not batches)
            if found:
                self._last_served = file.writer
                batches.extend(found)
        return batches

    def advance(self, batch: Batch) -> None:
        """Acknowledge `batch`: its lines are never read again.

        Batches of one writer are acknowledged in order; doing it twice is harmless. Raises
        ValueError if an earlier batch of the writer has not been acknowledged.
        """
        position = self._position(batch.writer)
        if batch.start > position:
            raise ValueError("an earlier batch of {} is not acknowledged".format(batch.writer))
        self.positions[batch.writer] = max(position, batch.end)

    def _position(self, writer: str) -> Position:
        return self.positions.get(writer, (0, 0))

    def tidy(self) -> None:
        """Delete files that a server has taken in whole, and note how much of the others it has.

        Where that cannot be done nothing is lost but room.
        """
        spent, self._spent = self._spent, set()
        for writer in spent:
            try:
                os.unlink(self._path(writer))
            except OSError:
                continue
            self.positions.pop(writer, None)
        taken = sum(position[0] for position in self.positions.values())
        if spent or abs(taken - self._noted) >= _NOTED:
            self._noted = taken
            path = os.path.join(self._journal_dir, TAKEN_IN_FILE)
            try:
                with open(path + ".partial", "w") as file:
                    file.write(str(taken))
                os.replace(path + ".partial", path)
            except OSError:
                return

    def _pending(self, finish: bool) -> List[_File]:
        """Return files with something new, one of each writer, in turn for fairness."""
        found: List[_File] = []
        for files in self._files().values():
            files.sort(key=lambda file: file.number)
            unread = [file for file in files if file.size > self._position(file.writer)[0]]
            read = [file for file in files[:-1] if file not in unread]
            self._spent.update(file.writer for file in read[: len(read) - _KEPT])
            if unread:
                file = unread[0]
                file.is_finished = finish
                if file is not files[-1]:
                    # Its writer has begun the next one: nothing is added any more, but has been
                    # perhaps since we looked.
                    file.is_finished = True
                    file.size = os.lstat(self._path(file.writer)).st_size
                if file.is_finished or self._waiting.get(file.writer) != file.size:
                    found.append(file)
        # Whoever was served last comes last, so that a busy writer does not hold up the others.
        found.sort(key=lambda file: (file.writer <= self._last_served, file.writer))
        return found

    def _files(self) -> Dict[str, List[_File]]:
        """Return all files by whose they are."""
        found: Dict[str, List[_File]] = {}
        try:
            entries = os.scandir(self._journal_dir)
        except FileNotFoundError:
            return found  # nothing was logged yet
        with entries:
            for entry in entries:
                # Links are not followed: the job must not choose which files the runner reads.
                if not entry.name.endswith(_SUFFIX) or not entry.is_file(follow_symlinks=False):
                    continue
                writer = entry.name[: -len(_SUFFIX)]
                if not _WRITER.match(writer):
                    continue  # not one of ours: the server could not even name it
                further = _SEGMENT.match(writer)
                whose, number = further.groups() if further else (writer, "1")
                size = entry.stat(follow_symlinks=False).st_size
                found.setdefault(whose, []).append(_File(writer, int(number), size))
        return found

    def _path(self, writer: str) -> str:
        return os.path.join(self._journal_dir, writer + _SUFFIX)

    def _read_writer(self, file: _File, room: int, first: bool) -> List[Batch]:
        self._skipped = False
        writer, size, finish = file.writer, file.size, file.is_finished
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(self._path(writer), flags)
        except OSError as error:
            # One file that the job made unreadable must not hold up the others.
            self._report(writer, self._position(writer)[1] + 1, str(error).encode())
            return []
        try:
            offset = self._position(writer)[0]
            # The first line must be seen whole, or reading would never get past it.
            wanted = min(size - offset, max(room, MAX_LINE_BYTES + 1) if first else room)
            data = os.pread(fd, wanted, offset)
            at_end = offset + len(data) >= size
            lines = data.split(b"\n")
            rest = lines.pop()
            if not lines and len(rest) > MAX_LINE_BYTES:
                self._skip_endless_line(fd, writer, size, rest, finish)
                return []
        finally:
            os.close(fd)
        if not lines and at_end and not finish:
            self._waiting[writer] = size
        whole = [line + b"\n" for line in lines]
        if finish and at_end and rest:
            whole.append(rest)
        return self._batches(writer, whole, room, first)

    def _batches(self, writer: str, lines: List[bytes], room: int, first: bool) -> List[Batch]:
        """Cut consecutive lines, from the acknowledged position on, into batches."""
        batches: List[Batch] = []
        batch: Optional[Batch] = None
        offset, n = self._position(writer)
        for line, event in zip(lines, _events(lines)):
            room -= len(line)
            if room < 0 and not first:
                break
            first = False
            start, offset, n = (offset, n), offset + len(line), n + 1
            if event is None:
                self._report(writer, n, line)
                batch = None
            else:
                if batch is None:
                    batch = Batch(writer, start)
                    batches.append(batch)
                event["n"] = n
                batch.events.append(event)
            if batches:
                batches[-1].end = (offset, n)  # a broken line goes with the events before it
            else:
                self._skip_to(writer, (offset, n))
        return batches

    def _skip_endless_line(
        self, fd: int, writer: str, size: int, beginning: bytes, finish: bool
    ) -> None:
        """Acknowledge a line longer than any event, if its end has been written."""
        offset, n = self._position(writer)
        end = offset + len(beginning)
        while end < size:
            data = os.pread(fd, min(MAX_LINE_BYTES, size - end), end)
            found = data.find(b"\n")
            if found >= 0:
                end += found + 1
                break
            if not data:
                return  # the file was cut while it was read
            end += len(data)
        else:
            if not finish:
                self._waiting[writer] = size
                return
        self._report(writer, n + 1, beginning)
        self._skip_to(writer, (end, n + 1))

    def _skip_to(self, writer: str, position: Position) -> None:
        """Acknowledge broken lines that no batch can carry, having no event before them."""
        self.positions[writer] = position
        self._skipped = True

    def _report(self, writer: str, n: int, line: bytes) -> None:
        if n > self._reported.get(writer, 0):
            self._reported[writer] = n
            excerpt = line[:_EXCERPT_BYTES].decode("utf-8", "replace").rstrip("\n")
            self.broken.append((writer, n, excerpt))


def _events(lines: List[bytes]) -> Iterator[Optional[Dict[str, Any]]]:
    """Yield the event that each line holds, or None where it holds none."""
    text = b",".join(lines)
    # Read together they take half as long. What needs a second look is read one by one.
    if len(lines) > 1 and max(map(len, lines)) <= _SHORT and b"\\" not in text:
        try:
            found = json.loads("[{}]".format(text.decode("utf-8")))
        except (ValueError, RecursionError):
            found = []  # one of them is broken
        if len(found) == len(lines) and all(map(_is_event, found)):
            yield from found
            return
    yield from map(_event, lines)


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("k"), str)


def _event(line: bytes) -> Optional[Dict[str, Any]]:
    """Return the event that `line` holds, or None if it holds none."""
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        event = json.loads(line.decode("utf-8"))
        if b"\\ud" in line.lower():
            # Half of a surrogate pair is legal in JSON, but no database or answer can hold it.
            text = json.dumps(event, ensure_ascii=False)
            event = json.loads(text.encode("utf-8", "replace").decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return event if _is_event(event) and not _is_too_deep(line, event) else None


def _is_too_deep(line: bytes, event: Dict[str, Any]) -> bool:
    if line.count(b"[") + line.count(b"{") <= _DEEPEST:
        return False  # nearly always
    level: List[Any] = [event]
    for _ in range(_DEEPEST):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True
