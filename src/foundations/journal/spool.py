"""Writing the journal: one append-only file a process.

A line is handed to the kernel in one `write` before the call returns, so it survives whatever
happens to the process afterwards, `kill -9` included. There is no buffer, thread or socket.

Tracking never ends a training: where the disk refuses a line (full, read-only, folder gone), or the
journal has reached its limit because no server takes it in, the line is dropped, `Writer.lost`
counts it, stderr says so at the first loss and gives the number at the program's end. Later lines
are tried again.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
import weakref

from foundations.contract.environment import JOURNAL_LIMIT, TAKEN_IN_FILE
from foundations.contract.events import MAX_LINE_BYTES, SEGMENT_BYTES
from foundations.errors import JournalError
from foundations.notices import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Optional, Tuple

# Enough for the number and the time that a line gets when it is written.
_PREFIX_BYTES = 100
# Files that a journal of the largest size consists of, at least.
_LEAST = 16
# Seconds until a journal that was full is measured again, and until a loss is spoken of again.
_PATIENCE = 1.0
_SILENCE = 60.0
_encoder = json.JSONEncoder(separators=(",", ":"))


def _fast_dump() -> Callable[[Any], str]:
    """Return what writes JSON: C's own encoder made once, where json makes one for each value."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _encoder.encode
    write = make(
        None, _encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False,
        True,
    )  # fmt: skip
    return lambda value: "".join(write(value, 0))


_dump = _fast_dump()


def encode(kind: str, fields: Dict[str, Any]) -> str:
    """Return the part of a line that is known before it is written; NaN and infinities are kept.

    `fields` must hold JSON values and must not be empty. Raises JournalError, naming the key, for
    an event longer than MAX_LINE_BYTES, an integer too long to be written out, or too deep a value.
    """
    try:
        body = f'"k":"{kind}",{_dump(fields)[1:]}'
    except (ValueError, RecursionError) as error:
        raise JournalError(
            "{} cannot be recorded: {}.".format(_subject(kind, fields), error)
        ) from error
    if len(body) + _PREFIX_BYTES > MAX_LINE_BYTES:
        raise JournalError(
            "{} takes {:,} bytes; at most {:,} can be recorded.".format(
                _subject(kind, fields), len(body), MAX_LINE_BYTES
            ),
            "Save it as an artifact instead.",
        )
    return body


def _subject(kind: str, fields: Dict[str, Any]) -> str:
    names = [fields["key"]] if "key" in fields else list(fields.get("values") or ())
    shown = ", ".join('"{}"'.format(str(name)[:100]) for name in names[:3])
    more = " and {} more".format(len(names) - 3) if len(names) > 3 else ""
    return "{} {}{}".format(kind.capitalize(), shown, more).strip()


class Writer:
    """Appends events to a file of its own in `journal_dir`; for any number of threads.

    The file is made by the first event, so a process that records nothing leaves nothing; a large
    one is followed by the next. A forked child starts its own file with its first event. `rank` is
    the process's in a distributed training, `limit` how many bytes the journal may hold, the files
    of other processes among them.
    """

    def __init__(
        self, journal_dir: str, rank: Optional[int] = None, limit: Optional[int] = None
    ) -> None:
        self.lost = 0
        """How many events of this process could not be written."""
        self._journal_dir = journal_dir
        self._rank = rank
        self._limit = limit
        self._segment = SEGMENT_BYTES if limit is None else min(SEGMENT_BYTES, limit // _LEAST)
        # What this writer's files are called, and which of them it is at.
        self._name = ""
        self._number = 0
        self._full_until = self._silent_until = 0.0
        self._mark = "" if rank is None else '"r":{},'.format(rank)
        self._fd: Optional[int] = None
        self._identity: Optional[Tuple[int, int]] = None
        self._lines = 0
        # Re-entrant, because a signal handler that logs runs in the thread that it interrupted.
        self._lock = threading.RLock()
        self._busy = False
        self._for_handlers: Optional[Writer] = None
        _writers.add(self)

    encode = staticmethod(encode)

    def append(self, kind: str, fields: Dict[str, Any]) -> None:
        """Write one event. Raises JournalError if it can never be written (see `encode`)."""
        self.append_encoded([encode(kind, fields)])

    def append_encoded(self, bodies: Iterable[str]) -> None:
        """Write events that `encode` returned, in order, with nothing of this file in between."""
        with self._lock:
            if not self._busy:
                self._busy = True
                try:
                    for body in bodies:
                        self._write_line(body)
                except BaseException:
                    # KeyboardInterrupt, say: how far the line came is unknown, so go on elsewhere.
                    self._close()
                    raise
                finally:
                    self._busy = False
                return
            # A signal handler interrupted this very method: it must not write inside of a line.
            if self._for_handlers is None:
                self._for_handlers = Writer(self._journal_dir, self._rank, self._limit)
        self._for_handlers.append_encoded(bodies)

    def close(self) -> None:
        """Close the file; the next event would begin another one."""
        with self._lock:
            self._close()
            if self._for_handlers is not None:
                self._for_handlers.close()

    def _write_line(self, body: str) -> None:
        try:
            fd, end = self._open_file()
            line = f'{{"n":{self._lines + 1},"t":{time.time()!r},{self._mark}{body}\n'
            self._write_whole(fd, line.encode("ascii"), end)
        except OSError as error:
            self._lose(error)
        else:
            self._lines += 1

    def _write_whole(self, fd: int, line: bytes, end: int) -> None:
        """Write `line` at the file's `end`; if it does not fit, leave the file as it was."""
        written = os.write(fd, line)
        if written == len(line):
            return
        try:
            rest = line[written:]
            if os.write(fd, rest) != len(rest):
                raise OSError("only a part of the line could be written")
        except OSError:
            try:
                os.ftruncate(fd, end)
            except OSError:
                self._close()  # the torn line stays the last of its file
            raise

    def _open_file(self) -> Tuple[int, int]:
        """Return the open file and its size in bytes.

        Programs that turn into daemons close descriptors that are not theirs, and the number may
        then belong to a file of the user's: the check keeps events out of it.
        """
        if self._fd is not None:
            try:
                status = os.fstat(self._fd)
            except OSError:
                self._fd = None
            else:
                if (status.st_dev, status.st_ino) == self._identity and status.st_nlink:
                    if status.st_size < self._segment:
                        return self._fd, status.st_size
                    self._ask_for_room()
                    return self._begin_file(), 0
                self._close()
        self._ask_for_room()
        self._name = ""
        return self._begin_file(), 0

    def _begin_file(self) -> int:
        """Go on in a new file: the next of this writer's, or the first where it has none."""
        try:
            os.mkdir(self._journal_dir)
        except FileExistsError:
            pass  # the usual case: the runner or another process of the job made it
        name, number = self._name or _new_name(), self._number + 1 if self._name else 1
        fd = _create_file(self._journal_dir, name if number == 1 else f"{name}.{number:06d}")
        self._close()
        self._name, self._number, self._fd, self._lines = name, number, fd, 0
        status = os.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)
        return fd

    def _ask_for_room(self) -> None:
        """Raise OSError if the journal has reached its limit."""
        if self._limit is None:
            return
        if time.monotonic() >= self._full_until:
            if _waiting_in(self._journal_dir) + self._segment <= self._limit:
                return
            self._full_until = time.monotonic() + _PATIENCE
        raise OSError(
            "it holds the {:,} bytes that may wait for a server ({})".format(
                self._limit, JOURNAL_LIMIT
            )
        )

    def _lose(self, error: OSError) -> None:
        self.lost += 1
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SILENCE
            warn(
                "The journal in {} cannot be written: {}. The program goes on, "
                "but what it logs is lost until that is mended.".format(self._journal_dir, error)
            )

    def _close(self) -> None:
        """Let go of the file, closing the descriptor only if it still is this file's."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) == self._identity:
                os.close(fd)
        except OSError:
            return  # closed by somebody else already

    def _start_over(self) -> None:
        """Be a new writer; in a forked child, where another thread may have held the lock."""
        self._close()
        self._lock = threading.RLock()
        self._busy = False
        self._for_handlers = None
        self.lost = 0


def _new_name() -> str:
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return "{}-{}-{}".format(started, os.getpid(), os.urandom(6).hex())


def _waiting_in(journal_dir: str) -> int:
    """Return how many bytes of a journal no server has taken in yet."""
    written = 0
    try:
        with os.scandir(journal_dir) as entries:
            for entry in entries:
                written += entry.stat().st_size
        with open(os.path.join(journal_dir, TAKEN_IN_FILE), "rb") as file:
            written -= int(file.read())
    except (FileNotFoundError, ValueError):
        pass  # nothing was taken in, or a file is being deleted because it was
    return written


def _create_file(journal_dir: str, name: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    fd = os.open(os.path.join(journal_dir, name + ".jsonl"), flags, 0o644)
    if fd > 2:
        return fd
    # The program closed a standard stream: leave its number free, or output would land in here.
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _start_over_after_fork() -> None:
    for writer in list(_writers):
        writer._start_over()  # pyright: ignore[reportPrivateUsage]


def _report_losses() -> None:
    lost = sum(writer.lost for writer in _writers)
    if lost:
        warn("{:,} logged values were lost: the journal could not be written.".format(lost))


os.register_at_fork(after_in_child=_start_over_after_fork)
atexit.register(_report_losses)
