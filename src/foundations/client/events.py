"""Server-sent events, read as they come."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple


def server_sent_events(chunks: Iterator[bytes]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Parse text/event-stream as WHATWG HTML describes it, for single-line JSON data."""
    pending = b""
    for chunk in chunks:
        pending += chunk
        blocks = pending.split(b"\n\n")
        pending = blocks.pop()
        for block in blocks:
            event, data = "message", None
            for line in block.split(b"\n"):
                if line.startswith(b"event: "):
                    event = line[7:].decode()
                elif line.startswith(b":"):
                    event, data = "waiting", {}
                elif line.startswith(b"data: "):
                    data = json.loads(line[6:])
            if data is not None:
                yield event, data
