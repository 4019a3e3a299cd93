"""A job's state and log as server-sent events, for those who watch."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread

from atlas_server.api.lasting import KEEP_ALIVE, WAITING
from atlas_server.services.content import Content
from atlas_server.services.feed import AsyncListener, Feed
from atlas_server.services.views import Views
from foundations.errors import NotFound

_CHUNK = 256 * 1024


class JobStream:
    """Everything new about one job, until it is over."""

    def __init__(
        self, views: Views, content: Content, feed: Feed, job_id: str, *, text: bool = True
    ) -> None:
        self._views = views
        self._content = content
        self._feed = feed
        self._job_id = job_id
        self._text = text
        self._attempt = 0
        self._offset = 0
        self._told: tuple[Any, ...] | None = None

    async def events(self, attempt: int, offset: int) -> AsyncIterator[bytes]:
        """Yield events; the log begins at byte `offset` of `attempt` (0: the newest)."""
        self._attempt, self._offset = attempt, offset
        # Listening begins before the first look, so that no change falls in between.
        listener = AsyncListener(self._feed, self._job_id)
        try:
            over = False
            while not over:
                parts, over = await anyio.to_thread.run_sync(self._news)
                if parts:
                    yield b"".join(parts)
                elif not over and not await listener.changed(KEEP_ALIVE):
                    yield WAITING
        finally:
            listener.close()

    def _news(self) -> tuple[list[bytes], bool]:
        try:
            job = self._views.resolve(self._job_id)
        except NotFound:
            return [_event("state", {"job_id": self._job_id, "state": "deleted"})], True
        self._attempt = self._attempt or job.attempts
        log = self._log()
        if log is None and self._attempt < job.attempts:
            self._attempt, self._offset = self._attempt + 1, 0
            return self._news()
        parts = [log] if log is not None else []
        over = job.state.is_final and log is None
        standing = (job.state, job.attempts, job.started_at)
        if standing != self._told and (over or not job.state.is_final):
            self._told = standing
            # Before the first lines of the log, and after its last ones.
            parts.insert(0, _event("state", self._views.plain_row(job)))
        return parts, over

    def _log(self) -> bytes | None:
        if not self._attempt:
            return None
        if not self._text:
            return self._grown()
        data = self._content.log_part(self._job_id, self._attempt, self._offset, _CHUNK)
        if not data:
            return None
        self._offset += len(data)
        # Bytes that are no UTF-8 (or the half of a letter) come through unchanged.
        text = data.decode("utf-8", "surrogateescape")
        return _event("log", {"attempt": self._attempt, "offset": self._offset, "text": text})

    def _grown(self) -> bytes | None:
        size = self._content.log_size(self._job_id, self._attempt)
        if size <= self._offset:
            return None
        self._offset = size
        return _event("log", {"attempt": self._attempt, "offset": size})


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
