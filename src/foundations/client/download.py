"""What is fetched from a server: after a cut it goes on with the byte at which it stopped."""

from __future__ import annotations

from foundations.client.paths import query
from foundations.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

    from foundations.client.api import Api
    from foundations.client.messages import Response
    from foundations.client.persistence import Persistence

# Until the server has come to the place where the download goes on.
_PATIENCE = 600.0


def fetched(
    api: Api, path: str, asked: Dict[str, Any], again: Persistence, offset: int = 0
) -> Iterator[bytes]:
    """Yield what the server has at `path`, asked for with these values, from byte `offset` on.

    Raises Refused where it became another thing meanwhile, and Unreachable when the server stays
    away.
    """
    tag: Optional[str] = None

    def answer() -> Response:
        values = {**asked, "offset": offset or None, "tag": tag}
        return api.connection.request("GET", path + query(values), timeout=_PATIENCE)

    while True:
        response = again(answer)
        tag = tag or response.headers.get("etag")
        try:
            for chunk in response.chunks:
                offset += len(chunk)
                yield chunk
        except Unreachable as error:
            # Something has come, so that it is worth waiting for the rest.
            if not again.goes_on(error):
                raise
        else:
            return


def log(api: Api, path: str, tail: Optional[int], again: Persistence) -> Iterator[bytes]:
    """Yield a job's log as it stands, or its last `tail` lines."""
    response = again(lambda: api.connection.request("GET", path + query({"tail": tail})))
    size = int(response.headers["x-atlas-log-size"])
    left = int(response.headers["content-length"])
    try:
        for chunk in response.chunks:
            left -= len(chunk)
            yield chunk
    except Unreachable as error:
        if not again.goes_on(error):
            raise
    if left > 0:
        # More may have been logged: what was meant is what was there.
        asked = {"attempt": response.headers["x-atlas-attempt"], "limit": left}
        yield from fetched(api, path, asked, again, size - left)
