"""What is written on one node of an attempt, brought to the first one as it grows."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISREG

from atlas_runner import inotify, launcher
from atlas_runner.job_files import files_below, held
from atlas_runner.workspace import Workspace
from foundations.contract import manifest
from foundations.disk import open_regular, remove_tree
from foundations.errors import BundleError

_PACE = 0.05
_LOOK = 0.2
_PIECE = 1 << 18
_AT_ONCE = 1 << 23
_STAGED = b'"staged"'


class Mirror:
    """Log, journal, and what the journal says has been saved; `send` sends one message."""

    def __init__(self, workspace: Workspace, send: Callable[[bytes], object]) -> None:
        self._workspace = workspace
        self._send = send
        self._sent: dict[str, int] = {}
        self._closing = os.eventfd(0, os.EFD_CLOEXEC)

    def close(self) -> None:
        """Have `send_on` return."""
        os.eventfd_write(self._closing, 1)

    def send_on(self) -> None:
        """Send what is new, whenever there is news."""
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            watched = [self._closing]
            watcher = None
            if inotify.available():
                watcher = stack.enter_context(inotify.Watcher())
                watcher.add(self._workspace.log_path)
                watcher.add(self._workspace.journal_dir)
                watched.append(watcher.fileno())
            patience = _LOOK if watcher is None else None
            self._send_news(whole=True)  # what was written before it was watched
            while self._closing not in select.select(watched, [], [], patience)[0]:
                if watcher is not None:
                    watcher.read_events()
                self._send_news(whole=True)
                time.sleep(_PACE)

    def send_rest(self) -> None:
        """Send all that was not sent: nothing is written any more. Raises OSError."""
        while self._send_news(whole=False):
            pass

    def _send_news(self, *, whole: bool) -> bool:
        """Send what is new; `whole`: of a journal whole lines alone. True where there was any."""
        data = self._new(self._workspace.log_path, launcher.LOG)
        self._write(launcher.LOG, data)
        found = bool(data)
        # A writer's files in their order: the name of its first one is the shortest.
        files = self._workspace.journal_dir.glob("*.jsonl")
        for path in sorted(files, key=lambda each: (len(each.name), each.name)):
            name = f"journal/{path.name}"
            data = self._new(path, name, whole=whole)
            # What a line names is there before the line is.
            for staged in _staged_in(data):
                self._send_staged(staged)
            self._write(name, data)
            found = found or bool(data)
        return found

    def _new(self, path: Path, name: str, *, whole: bool = False) -> bytes:
        offset = self._sent.get(name, 0)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(path, flags), "rb") as file:
                file.seek(offset)
                data = file.read(_AT_ONCE)
        except OSError:
            return b""  # the job has put something else in its place
        if whole:
            data = data[: data.rfind(b"\n") + 1]
        self._sent[name] = offset + len(data)
        return data

    def _write(self, name: str, data: bytes) -> None:
        for begin in range(0, len(data), _PIECE):
            piece = data[begin : begin + _PIECE]
            self._send(launcher.WRITTEN + name.encode() + b"\0" + piece)

    def _send_staged(self, staged: str) -> None:
        """Send a saved file, or what is in a saved folder; our copy goes."""
        with contextlib.suppress(BundleError, OSError):
            path = manifest.check_path(staged)
            with held(self._workspace.artifacts_dir, path) as place:
                if os.path.isdir(place):
                    for inside, file, state in files_below(place):
                        if S_ISREG(state.st_mode):
                            self._copy(f"artifacts/{path}/{inside}", file)
                    remove_tree(place)
                else:
                    self._copy(f"artifacts/{path}", place)
                    os.unlink(place)

    def _copy(self, name: str, file: str) -> None:
        self._send(launcher.WRITTEN + name.encode() + b"\0")  # an empty file is one, too
        with open(open_regular(file), "rb") as opened:
            while data := opened.read(_PIECE):
                self._write(name, data)


def _staged_in(lines: bytes) -> Iterator[str]:
    """Name what lines of a journal say was saved."""
    if _STAGED not in lines:
        return
    for line in lines.split(b"\n"):
        if _STAGED in line:
            with contextlib.suppress(ValueError, RecursionError):
                told = json.loads(line)
                if isinstance(told, dict) and isinstance(told.get("staged"), str):
                    yield told["staged"]
