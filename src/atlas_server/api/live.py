"""The live feed: what changes, told as server-sent events to those who watch many jobs at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header
from starlette.responses import Response

from atlas_server.api.lasting import KEEP_ALIVE, WAITING, streamed
from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.changes import Changes, News
from atlas_server.services.feed import AsyncWatcher, Feed

# Changes are gathered for so long: nobody reads faster, and pages read anew what changed.
_INTERVAL = 0.2


def routes(feed: Feed, changes: Changes, instance: str) -> APIRouter:
    """Return the endpoint. `instance` is the server's identity, which its numbers belong to."""
    router = Router(tags=["live"])

    @needs(Right.READ)
    async def live(
        project: str | None = None,
        since: str | None = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Tell of changes as they happen, from those on that `since` or Last-Event-ID names."""
        stream = LiveStream(feed, changes, instance, project)
        return streamed(stream.events(last_event_id or since))

    router.add_api_route("/feed", live, methods=["GET"], response_class=Response)
    return router


def repeated(name: str, look: Callable[[], dict[str, Any]], seconds: float) -> Response:
    """What can only be measured: `look` at it every so many seconds, as events of that name."""

    async def events() -> AsyncIterator[bytes]:
        while True:
            yield _event(name, await anyio.to_thread.run_sync(look))
            await anyio.sleep(seconds)

    return streamed(events())


class LiveStream:
    """Everything that changes in one project, or in all."""

    def __init__(self, feed: Feed, changes: Changes, instance: str, project: str | None) -> None:
        self._feed = feed
        self._changes = changes
        self._instance = instance
        self._project = project
        self._seq = 0

    async def events(self, since: str | None) -> AsyncIterator[bytes]:
        """Yield events for ever."""
        # Watching begins before the first look, so that no change falls in between.
        watcher = AsyncWatcher(self._feed)
        try:
            for part in await anyio.to_thread.run_sync(self._hello, since):
                yield part
            while True:
                parts = await anyio.to_thread.run_sync(self._news, watcher.take())
                if parts:
                    yield b"".join(parts)
                    await anyio.sleep(_INTERVAL)
                while not await watcher.changed(KEEP_ALIVE):
                    yield WAITING
        finally:
            watcher.close()

    def _hello(self, since: str | None) -> list[bytes]:
        known = self._known(since)
        self._seq = self._changes.last() if known is None else known
        greeting = {"seq": self._seq, "instance": self._instance}
        parts = [self._event("hello", greeting)]
        if since and known is None:
            reason = "another server answers"
            parts.append(self._event("reload", {"seq": self._seq, "reason": reason}))
        return parts

    def _known(self, since: str | None) -> int | None:
        instance, _, number = (since or "").rpartition(":")
        if instance != self._instance or not number.isdigit() or len(number) > 18:
            return None
        return int(number)

    def _news(self, recorded: set[str]) -> list[bytes]:
        news = self._changes.since(self._seq, self._project)
        self._seq = news.seq
        parts = self._told(news)
        jobs = self._changes.of_project(recorded, self._project)
        if jobs:
            parts.append(_event("recorded", {"jobs": jobs}))
        return parts

    def _told(self, news: News) -> list[bytes]:
        if news.missed:
            told = {"seq": news.seq, "reason": "more has changed than can be told"}
            return [self._event("reload", told)]
        parts: list[bytes] = []
        if news.changed or news.deleted:
            told: dict[str, Any] = {"seq": news.seq, "changed": news.changed}
            parts.append(self._event("jobs", {**told, "deleted": news.deleted}))
        if news.projects:
            parts.append(self._event("projects", {"seq": news.seq, "projects": news.projects}))
        if news.searches:
            parts.append(self._event("searches", {"seq": news.seq, "searches": news.searches}))
        return parts

    def _event(self, name: str, data: dict[str, Any]) -> bytes:
        """An event after which a connection that broke goes on."""
        return f"id: {self._instance}:{self._seq}\n".encode() + _event(name, data)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
