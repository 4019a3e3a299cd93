"""Content between a node and a server that share no files: code comes, results go.

What a job's code consists of is kept on the node by its content, and is fetched once for all jobs
of the same folder, by whichever is first; the others wait for it. `node_cache` bounds what is kept.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from atlas_runner.errors import PreparationStopped, StartFailed
from atlas_runner.uploads import bring
from foundations.blobs import BlobDir
from foundations.client.api import Api
from foundations.contract import manifest
from foundations.contract.report import Assignment
from foundations.errors import NotFound, ServerError, StorageFull, Unreachable, WrongServer

log = logging.getLogger(__name__)

_R = TypeVar("_R")
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_LOOK_INTERVAL = 0.1
_PASSING = (Unreachable, WrongServer, StorageFull)
_WITH_CONTENT = (manifest.FILE, manifest.EXECUTABLE)


def cache_lock(home: str) -> str:
    """Return the lock of what a node keeps: held, shared, while somebody needs it to stay."""
    return os.path.join(home, "cache.lock")


@contextmanager
def code_kept(home: str, stop_fd: int) -> Iterator[None]:
    """Keep what is fetched on this node until it is laid out. Raises PreparationStopped."""
    with _Turn(cache_lock(home), stop_fd, fcntl.LOCK_SH):
        yield


def fetch_code(assignment: Assignment, blobs: BlobDir, digest: str, stop_fd: int) -> None:
    """See that `blobs` has a manifest and all that it names, however long the server is away.

    Raises StartFailed where the server lacks some of it, PreparationStopped.
    """
    with _Turn(os.path.join(blobs.root, "locks", digest), stop_fd):
        api = Api(assignment.server, assignment.token)
        try:
            _persist(lambda: _fetch(api, blobs, digest), stop_fd)
        except NotFound as error:
            raise StartFailed(f"The job's code could not be fetched: {error}") from error
        finally:
            api.close()


def deliver(assignment: Assignment, blobs: BlobDir, digest: str) -> bool:
    """Bring a manifest and all that it names to the server, however long that is away.

    False where it will not have it: the attempt has been given up.
    """
    api = Api(assignment.server, assignment.token)
    try:
        _persist(lambda: bring(api, blobs, manifest.FOLDER, digest), None)
    except ServerError as error:
        log.warning("What the job made could not be delivered: %s", error)
        return False
    finally:
        api.close()
    return True


def _fetch(api: Api, blobs: BlobDir, digest: str) -> None:
    if blobs.renew([digest]):
        blobs.put_stream(api.blob(digest), digest, durable=False)
    with blobs.open(digest) as file:
        entries = manifest.decode(file.read())
    wanted = [value for _, kind, value, _ in entries if kind in _WITH_CONTENT]
    for each in blobs.renew(wanted):
        blobs.put_stream(api.blob(each), each, durable=False)


def _persist(work: Callable[[], _R], stop_fd: int | None) -> _R:
    """Do it again until the server has answered."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return work()
        except _PASSING as error:
            if pause == _FIRST_PAUSE:
                log.warning("%s It is tried again until it does.", error)
        _pause(pause, stop_fd)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _pause(seconds: float, stop_fd: int | None) -> None:
    if select.select([] if stop_fd is None else [stop_fd], [], [], seconds)[0]:
        raise PreparationStopped("The job was stopped before it had its code.")


class _Turn:
    """Holds a lock of the node for as long as the `with` block lasts."""

    def __init__(self, path: str, stop_fd: int, how: int = fcntl.LOCK_EX) -> None:
        self._path = path
        self._how = how
        self._stop_fd = stop_fd
        self._descriptor = -1

    def __enter__(self) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(self._descriptor, self._how | fcntl.LOCK_NB)
            except BlockingIOError:
                try:
                    _pause(_LOOK_INTERVAL, self._stop_fd)
                except PreparationStopped:
                    os.close(self._descriptor)
                    raise
            else:
                return

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
