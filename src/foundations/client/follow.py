"""A job's events to its end, across lost connections and restarts of the server."""

from __future__ import annotations

import time

from foundations.client.api import Api
from foundations.client.server import moved
from foundations.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Optional, Tuple

FINAL = ("completed", "failed", "stopped", "deleted")
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LONGEST_SILENCE = 60.0


def follow(
    api: Api,
    job_id: str,
    tail: Optional[int] = None,
    timeout: Optional[float] = None,
    lost: Optional[Callable[[], None]] = None,
) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Yield (`state` or `log`, data) until the job is over; no byte of the log twice or never.

    While the server is away it is looked for again and again; `lost` is called when that begins.
    Raises TimeoutError after `timeout` seconds.
    """
    attempt = offset = 0
    pause = _FIRST_PAUSE
    end = None if timeout is None else time.monotonic() + timeout
    watcher = api
    try:
        while True:
            try:
                events = watcher.stream(job_id, attempt, offset, tail)
                _limit(watcher, end)
                for event, data in events:
                    if event == "log":
                        attempt, offset, tail = data["attempt"], data["offset"], None
                    pause = _FIRST_PAUSE
                    if event != "waiting":
                        yield event, data
                    if event == "state" and data["state"] in FINAL:
                        return
                    _check(end, job_id)
                    _limit(watcher, end)
            except Unreachable:
                _check(end, job_id)
                if pause == _FIRST_PAUSE and lost is not None:
                    lost()
            watcher.close()
            _check(end, job_id)
            time.sleep(pause if end is None else min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 2, _LONGEST_PAUSE)
            watcher = Api.of_user(moved(api.url))
    finally:
        if watcher is not api:
            watcher.close()


def follow_search(url: str, name: str, timeout: Optional[float] = None) -> Iterator[Dict[str, Any]]:
    """Yield a search's row at every change until it is over, also across restarts of the server.

    Raises TimeoutError after `timeout` seconds.
    """
    pause = _FIRST_PAUSE
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        watcher = Api.of_user(moved(url))
        try:
            _limit(watcher, end)
            for event, row in watcher.search_stream(name):
                pause = _FIRST_PAUSE
                if event == "search":
                    yield row
                    if row["state"] in FINAL:
                        return
                _check(end, name, "Search")
                _limit(watcher, end)
        except Unreachable:
            pass  # it is looked for again
        finally:
            watcher.close()
        _check(end, name, "Search")
        time.sleep(pause if end is None else min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _limit(watcher: Api, end: Optional[float]) -> None:
    """Silence of the server must not outlast the time-out."""
    if end is not None:
        watcher.connection.limit(min(_LONGEST_SILENCE, max(0.001, end - time.monotonic())))


def _check(end: Optional[float], name: str, what: str = "Job") -> None:
    if end is not None and time.monotonic() >= end:
        raise TimeoutError("{} '{}' is not over yet.".format(what, name))
