"""Answers that go on until whoever asked for them leaves: events, told as they happen.

They end when whoever asked may not have them any more: a login that has ended, a token that was
revoked or has expired, a user who was removed or lost the right.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse

from foundations.errors import Fenced, Forbidden, FoundationsError, Unauthenticated

KEEP_ALIVE = 4.0
"""Seconds after which a stream says a word where there is nothing to say.

Clients, and proxies between, see by it that the line is not dead; and no stream outlives a right
by more than that.
"""
WAITING = b": waiting\n\n"
_EVENTS = "text/event-stream"
_CHECKED = 2.0
_Check = Callable[[], Awaitable[None]]


def streamed(events: AsyncIterator[bytes]) -> Response:
    """Return the answer that tells these events; they have a word at least every KEEP_ALIVE."""
    return StreamingResponse(
        events,
        media_type=_EVENTS,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def ended_by(response: Response, check: _Check) -> Response:
    """Return the same answer; one that lasts ends once `check` refuses, as it did to begin with."""
    if isinstance(response, StreamingResponse) and response.media_type == _EVENTS:
        response.body_iterator = _while_allowed(response.body_iterator, check)
    return response


async def _while_allowed(parts: Any, check: _Check) -> AsyncIterator[bytes]:
    checked = time.monotonic()
    async with aclosing(parts):
        async for part in parts:
            if time.monotonic() - checked >= _CHECKED:
                if not await _is_allowed(check):
                    return
                checked = time.monotonic()
            yield part


async def _is_allowed(check: _Check) -> bool:
    try:
        await check()
    except (Unauthenticated, Forbidden, Fenced):
        return False
    except FoundationsError:
        # The database is away, say, or the job was deleted, which the stream will tell.
        return True
    return True
