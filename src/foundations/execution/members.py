"""The processes that are a job: whether they live, seen from whatever machine or container."""

from __future__ import annotations

import os

from foundations.execution.processes import identify, is_alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    Json = Dict[str, Any]


class Member:
    """A process that is the job, or a part of it; `end` is what it said when it ended."""

    __slots__ = ("_path", "_where", "end", "identity", "rank", "round", "started_at")

    def __init__(self, path: str, values: Json, end: Optional[Json]) -> None:
        self._path = path
        self._where = str(values["where"])
        self.identity = str(values["process"])
        self.rank: Optional[int] = values.get("rank")
        self.round = int(values.get("round") or 0)
        self.started_at = float(values["started_at"])
        self.end = end

    @property
    def is_here(self) -> bool:
        """Whether it is one of the processes that we see, and could be signalled."""
        return self._where == here()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, with or without a word, or left the job."""
        if self.end is not None:
            return True
        return not (is_alive(self.identity) if self.is_here else self._is_held())

    def _is_held(self) -> bool:
        """Whether a process of another machine or container still holds its file."""
        import fcntl

        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True  # it does, or nobody can tell
        finally:
            os.close(descriptor)
        return False


def this_process(rank: Optional[int], number: int, started_at: float) -> Json:
    """Return what is noted of this process when it begins; `number` is its training's round."""
    return {
        "process": identify(),
        "where": here(),
        "rank": rank,
        "round": number,
        "started_at": started_at,
    }


def here() -> str:
    """Return the machine and, where there are such, the container: processes are seen within one.

    Their numbers mean something there only, and homes may be shared.
    """
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return "{} {}".format(os.uname().nodename, space)


def hold(path: str) -> int:
    """Hold a file for as long as this process lives and the descriptor is open."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        pass  # a file system without locks: then nobody can tell from elsewhere
    return descriptor
