"""The feed of one process, carried to those of the others."""

from __future__ import annotations

import json
import logging

from atlas_server.services.feed import Change, Feed
from atlas_server.store.signals import FAREWELL, Signals

log = logging.getLogger(__name__)


class Relay:
    """Joins a feed with those of the other processes that work on the database."""

    def __init__(self, url: str, process: str, feed: Feed) -> None:
        self._process = process
        self._feed = feed
        self._signals = Signals(url, self._heard, feed.wake_all)

    def start(self) -> None:
        """Begin to tell and to hear. Raises Refused where the database is just being copied."""
        self._signals.start()
        self._feed.relay = self._tell

    def close(self) -> None:
        """Tell and hear no more."""
        self._signals.close()

    def _tell(self, change: Change) -> None:
        self._signals.send(json.dumps([self._process, *change]))

    def _heard(self, text: str) -> None:
        if text == FAREWELL:
            return
        try:
            process, job_id, moved, recorded, logged = json.loads(text)
        except ValueError:
            log.warning("Another process of another version sends %.100r.", text)
            self._feed.wake_all()
            return
        if process == self._process:
            return
        if job_id is None:
            self._feed.tell_watchers()
        else:
            self._feed.wake(job_id, moved=moved, recorded=recorded, logged=logged)
