"""What the first of several nodes runs: its own process of the command, and a door for the others.

    ATLAS_GROUP=... python -I launcher.py GRACE LOST COMMAND...

The command starts once all nodes are there. Their output comes here, each line with the rank of its
node; what they log becomes part of this node's journal. The first one that fails decides: the
others are told to end, and its exit code is ours. A node that cannot be reached any more is named
in the file LOST. SIGTERM has the others end; what runs here gets it from whoever sent it.

It runs in the job's environment, so it is of Python's standard library alone.
"""

from __future__ import annotations

import hmac
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

GROUP = "ATLAS_GROUP"
# How long nodes wait for each other: one may have to install what the others have.
PATIENCE = 3600.0
# What is said to a node, and what one says: that it has ended, and what was written to a file.
START, END = b"start", b"end"
ENDED, WRITTEN = b"E", b"W"
LOG = "log"

_LONGEST_LINE = 1 << 16
_LARGEST = 1 << 20
_MIRRORED = re.compile(r"(journal/[A-Za-z0-9_.-]+\.jsonl|artifacts/[^\0]+)\Z")
_STOPPED = 128 + signal.SIGTERM
_LOST = -1
# After so many seconds without an answer a node is taken to be cut off.
_SILENCE, _PROBES = 15, 4


def main() -> int:
    """Run the command on all nodes; returns the exit code."""
    group = json.loads(os.environ.pop(GROUP))
    grace, lost, *command = sys.argv[1:]
    place = os.environ["FOUNDATIONS_ATTEMPT_DIR"]
    return Launcher(group, float(grace), place, lost).run(command)


def keep_asking(way: socket.socket) -> None:
    """Have a connection end when the other side is not there any more."""
    way.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, _SILENCE),
        (socket.TCP_KEEPINTVL, _SILENCE),
        (socket.TCP_KEEPCNT, _PROBES),
        # The same for what has been sent and is not answered, in milliseconds.
        (socket.TCP_USER_TIMEOUT, 1000 * _SILENCE * (_PROBES + 1)),
    ):
        way.setsockopt(socket.IPPROTO_TCP, option, value)


class Launcher:
    """`group` is what group.Group holds; what nodes log goes below `attempt_dir`."""

    def __init__(self, group: dict[str, Any], grace: float, attempt_dir: str, lost: str) -> None:
        self._group = group
        self._nodes = int(group["nodes"])
        self._grace = grace
        self._attempt_dir = attempt_dir
        self._lost = lost
        # (rank, its exit code or None: it has come); no rank: we are to end.
        self._news: queue.SimpleQueue[tuple[int | None, int | None]] = queue.SimpleQueue()
        self._ways: dict[int, Connection] = {}
        self._output = threading.Lock()

    def run(self, command: Sequence[str]) -> int:
        """Return the exit code of the first process that failed, 0 where none did."""
        signal.signal(signal.SIGTERM, lambda *_: self._news.put((None, None)))
        with socket.create_server(("", self._group["port"]), backlog=self._nodes) as door:
            threading.Thread(target=self._open, args=(door,), daemon=True).start()
            failed = self._await_all()
        if failed is not None:
            return failed
        own = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._tell_all(START)
        threading.Thread(target=self._follow, args=(own,), daemon=True).start()
        code = self._await_ends(own)
        for way in self._ways.values():
            way.close()
        return code

    def _await_all(self) -> int | None:
        """Wait until every node has come; an exit code where that will not be."""
        deadline = time.monotonic() + PATIENCE
        missing = set(range(1, self._nodes))
        while missing:
            try:
                rank, code = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                listed = ", ".join(map(str, sorted(missing)))
                self._say(f"Foundations ERROR: nothing was heard of node {listed}.")
                return 1
            if rank is None:
                return _STOPPED
            if code is not None:
                return self._failed(rank, code)
            missing.discard(rank)
        return None

    def _await_ends(self, own: subprocess.Popen[bytes]) -> int:
        running, first = set(range(self._nodes)), 0
        deadline: float | None = None
        while running:
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                rank, code = self._news.get(timeout=left)
            except queue.Empty:
                own.kill()
                break  # the others end when they hear nothing of us any more
            if rank is None:
                self._tell_all(END)
                continue
            running.discard(rank)
            if code and not first:
                first, deadline = self._failed(rank, code), time.monotonic() + self._grace
                if running:
                    self._say(f"Foundations: node {rank} ended with code {first}: the others end.")
                self._tell_all(END)
                if 0 in running:
                    own.terminate()
        return first

    def _failed(self, rank: int, code: int) -> int:
        """Return the exit code that counts; the runner is told where it stands for a lost node."""
        if code != _LOST:
            return code
        with open(self._lost, "w") as file:
            file.write(f"The connection to node {rank} of the job's was lost.")
        return 1

    def _tell_all(self, what: bytes) -> None:
        for way in self._ways.values():
            try:
                way.send_bytes(what)
            except OSError:
                pass  # its reader finds out as well

    def _follow(self, own: subprocess.Popen[bytes]) -> None:
        lines = self._lines(0)
        assert own.stdout is not None, "a pipe"
        while data := own.stdout.read1():  # type: ignore[attr-defined]
            lines.feed(data)
        lines.close()
        code = own.wait()
        self._news.put((0, code if code >= 0 else 128 - code))

    def _open(self, door: socket.socket) -> None:
        while True:
            try:
                way, _ = door.accept()
            except OSError:
                return  # closed: all are there
            keep_asking(way)
            threading.Thread(target=self._serve, args=(way,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        way = Connection(accepted.detach())
        rank = self._rank_of(way)
        if rank is None:
            way.close()
            return
        self._ways[rank] = way
        self._news.put((rank, None))
        lines, code = self._lines(rank), 1
        try:
            while (message := way.recv_bytes(_LARGEST))[:1] == WRITTEN:
                self._take_in(message[1:], lines)
            said = json.loads(message[1:])
            code = int(said["code"])
            if said["said"]:
                lines.feed(f"{said['said']}\n".encode())
        except (EOFError, OSError):
            code = _LOST
            lines.close()
            lines.feed(b"Foundations ERROR: the connection to this node was lost.\n")
        lines.close()
        self._news.put((rank, code))

    def _rank_of(self, way: Connection) -> int | None:
        """Return whom somebody who has come shows to be; None: nobody of ours."""
        try:
            shown = json.loads(way.recv_bytes(1000))
            rank, key = int(shown["rank"]), str(shown["key"])
        except (EOFError, OSError, ValueError, KeyError, TypeError):
            return None
        is_ours = hmac.compare_digest(key.encode(), self._group["key"].encode())
        return rank if is_ours and 0 < rank < self._nodes and rank not in self._ways else None

    def _take_in(self, message: bytes, lines: Lines) -> None:
        name, _, data = message.partition(b"\0")
        path = name.decode()
        if path == LOG:
            lines.feed(data)
        elif _MIRRORED.match(path) and ".." not in path.split("/"):
            place = os.path.join(self._attempt_dir, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            with open(os.open(place, flags, 0o644), "ab") as file:
                file.write(data)

    def _lines(self, rank: int) -> Lines:
        return Lines(f"{rank:>{len(str(self._nodes - 1))}}: ".encode(), self._write)

    def _say(self, text: str) -> None:
        self._write(f"{text}\n".encode())

    def _write(self, data: bytes) -> None:
        with self._output:
            while data:
                data = data[os.write(1, data) :]


class Lines:
    """Writes what it is fed line by line, each with a mark before it."""

    def __init__(self, mark: bytes, write: Callable[[bytes], object]) -> None:
        self._mark = mark
        self._write = write
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take in more of it; what is no whole line yet waits."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if whole:
            self._write(b"".join(self._mark + line + b"\n" for line in whole))
        if len(self._rest) > _LONGEST_LINE:
            self.close()

    def close(self) -> None:
        """Write what waits."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._write(self._mark + rest + b"\n")


if __name__ == "__main__":
    sys.exit(main())
