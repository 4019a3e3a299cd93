"""What the endpoints of a server's API are called through."""

from __future__ import annotations

from foundations.client.http import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


class Calls:
    """One connection to a server. Methods raise FoundationsError."""

    def __init__(self, url: str, token: Optional[str] = None) -> None:
        self.connection = Connection(url, token)
        self.url = url

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(
        self, method: str, path: str, payload: Any = None, timeout: Optional[float] = None
    ) -> Any:
        return self.connection.call(method, "/api/v1" + path, payload, timeout)
