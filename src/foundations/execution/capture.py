"""A copy of what the program prints, for the job's log, while it goes where it always went.

The streams of Python are copied: what programs write past them, to descriptor 1 or 2, as other
programs that are started from here do, is not. Terminals stay terminals: colours, progress bars
and questions work as before.
"""

from __future__ import annotations

import io
import os
import sys
from _thread import RLock, get_ident
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    # Returns the log that output belongs to at this moment, or None.
    Target = Callable[[], Optional["LogFile"]]

_frame = sys._getframe  # pyright: ignore[reportPrivateUsage]
_LONGEST_LINE = 8192
# What a text stream keeps back, unless it says so itself.
_CHUNK = 8192


class LogFile:
    """A job's log, open for appending from the first write on; whole lines where it can."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._identity = (0, 0)
        # What has come of each stream, and thread, since the last end of a line.
        self._pending: Dict[Tuple[str, int], bytes] = {}
        self._lock = RLock()
        _logs.append(ref(self, _logs.remove))

    def write(self, stream: str, data: bytes) -> None:
        """Append what was written to a stream."""
        key = (stream, get_ident())
        with self._lock:
            pending = self._pending.get(key, b"") + data
            if data[-1:] in (b"\n", b"\r") or len(pending) > _LONGEST_LINE:
                self._pending.pop(key, None)
                self._append(pending)
            else:
                self._pending[key] = pending

    def flush(self) -> None:
        """Append the beginnings of lines, too."""
        with self._lock:
            pending, self._pending = self._pending, {}
            for data in pending.values():
                self._append(data)

    def close(self) -> None:
        """Append what is left and let go of the file."""
        self.flush()
        if self._fd >= 0 and self._is_ours():
            os.close(self._fd)
        self._fd = -1

    def start_over(self) -> None:
        """Be the log of a forked child: what was pending is its parent's to write."""
        self._pending = {}
        self._lock = RLock()

    def _append(self, data: bytes) -> None:
        try:
            descriptor = self._open()
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError:
            return  # a full disk loses what the terminal has shown, and the program goes on

    def _open(self) -> int:
        # Programs that turn into daemons close what is not theirs: the number may be a file's of
        # their own by now.
        if self._fd < 0 or not self._is_ours():
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            found = os.fstat(self._fd)
            self._identity = (found.st_dev, found.st_ino)
        return self._fd

    def _is_ours(self) -> bool:
        try:
            found = os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity


class _Copy:
    """Where the copy of one stream goes."""

    def __init__(self, name: str, target: Target) -> None:
        self._name = name
        self._target = target

    def write(self, data: bytes) -> None:
        log = self._target()
        if log is not None:
            log.write(self._name, data)

    def flush(self) -> None:
        log = self._target()
        if log is not None:
            log.flush()


class _Tee(io.BufferedIOBase):
    """The binary layer below a copied text stream.

    It keeps back as much as the text stream would that it stands in for, so that a pipe which
    nobody reads, or a full disk, is met where it would be met without us.
    """

    def __init__(self, original: io.TextIOWrapper, copy: _Copy) -> None:
        self._original: Any = original.buffer
        self._copy = copy
        unbuffered = getattr(original, "write_through", False)
        self._most = 0 if unbuffered else getattr(original, "_CHUNK_SIZE", _CHUNK)
        self._kept: List[bytes] = []
        self._size = 0
        self._lock = RLock()
        _tees.append(ref(self, _tees.remove))

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._copy.write(data)
        with self._lock:
            self._kept.append(data)
            self._size += len(data)
            if self._size >= self._most:
                self._pass_on()
        return len(data)

    def flush(self) -> None:
        self._copy.flush()
        with self._lock:
            self._pass_on()
        self._original.flush()

    def close(self) -> None:
        # The stream below belongs to the interpreter, and whoever drops the copy goes on using it.
        self._copy.flush()
        self.let_go()

    def let_go(self) -> bool:
        """Keep nothing back any more; False: what was kept back cannot be written."""
        with self._lock:
            self._most = 0
            kept, size = self._kept[:], self._size
            try:
                self._pass_on()
            except (OSError, ValueError):
                self._kept, self._size = kept, size
            return not self._kept

    def start_over(self) -> None:
        """Be the stream of a forked child, where another thread may have held the lock."""
        self._lock = RLock()

    def _pass_on(self) -> None:
        """Write what was kept back; once, also where that fails, as the interpreter does."""
        data, self._kept, self._size = b"".join(self._kept), [], 0
        rest = memoryview(data)
        while rest:
            # Without a buffer (python -u) a pipe may take less than everything.
            rest = rest[self._original.write(rest) or 0 :]

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._original.isatty()

    def fileno(self) -> int:
        return self._original.fileno()

    @property
    def name(self) -> Any:
        return self._original.name

    @property
    def raw(self) -> Any:
        return getattr(self._original, "raw", self._original)


class CopiedStream(io.TextIOWrapper):
    """A text stream that is like the one it stands for, and is copied."""

    def __init__(self, original: io.TextIOWrapper, copy: _Copy) -> None:
        self.original = original
        super().__init__(
            _Tee(original, copy),
            encoding=original.encoding,
            errors=original.errors,
            newline="\n",
            line_buffering=original.line_buffering,
            # What is printed is in the log now, and below in its own time.
            write_through=True,
        )
        vars(self)["mode"] = "w"  # as the interpreter's own

    def let_go(self) -> bool:
        """Hand all that was printed on to the stream that this one stands for, if it takes it."""
        try:
            return self.buffer.let_go()  # pyright: ignore[reportAttributeAccessIssue]
        except ValueError:
            return True  # somebody has detached or closed it

    def flush(self) -> None:
        """Flush, and where the interpreter itself asks for it, look how the program ends."""
        super().flush()
        if at_top_level is not None and _frame().f_back is None:
            at_top_level()


class _CopiedText(io.TextIOBase):
    """The same for a stream that has no binary layer, such as a notebook's."""

    def __init__(self, original: Any, copy: _Copy) -> None:
        self.original = original
        self._copy = copy

    def write(self, text: str) -> int:
        self._copy.write(text.encode("utf-8", "replace"))
        return self.original.write(text)

    def flush(self) -> None:
        self._copy.flush()
        self.original.flush()

    def close(self) -> None:
        self._copy.flush()

    def let_go(self) -> bool:
        self._copy.flush()
        return True

    def writable(self) -> bool:
        return True

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN or name.startswith("__"):
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("original"), name)


_OWN = frozenset(
    {"original", "_copy", "write", "writelines", "flush", "close", "let_go", "writable"}
)
_NAMES = ("stdout", "stderr")
# Held weakly: a job's goes with the job.
_logs: List[ref[LogFile]] = []
_tees: List[ref[_Tee]] = []

at_top_level: Optional[Callable[[], None]] = None
"""Called when the interpreter flushes the streams with no Python code running: at its end."""


def start(target: Target, places: Optional[str] = None) -> None:
    """Copy what is printed from now on; streams that have been replaced meanwhile, too.

    With `places`, what another process said of its own streams, only what goes there as well.
    """
    for number, name in enumerate(_NAMES, start=1):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, (CopiedStream, _CopiedText)):
            continue
        if places is not None and _place(number) not in places.split(","):
            continue
        if type(stream) is io.TextIOWrapper:
            setattr(sys, name, CopiedStream(stream, _Copy(name, target)))
        elif hasattr(stream, "write") and hasattr(stream, "flush"):
            setattr(sys, name, _CopiedText(stream, _Copy(name, target)))


def stop() -> None:
    """Put the streams back, where they are still ours; whoever holds a copy may go on with it.

    One that cannot be written stays: the interpreter meets that when it ends, as it would without
    us.
    """
    for name in _NAMES:
        stream = getattr(sys, name)
        if isinstance(stream, (CopiedStream, _CopiedText)) and stream.let_go():
            setattr(sys, name, stream.original)


def places() -> str:
    """Return which files the standard streams are, so that children can compare theirs."""
    return ",".join(_place(number) for number in (1, 2))


def _place(descriptor: int) -> str:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return "-"
    return "{}:{}:{}".format(found.st_dev, found.st_ino, found.st_rdev)


def _start_over_after_fork() -> None:
    for held in (*_logs, *_tees):
        found = held()
        if found is not None:
            found.start_over()


os.register_at_fork(after_in_child=_start_over_after_fork)
