"""The endpoints of searches."""

from __future__ import annotations

from foundations.client.calls import Calls
from foundations.client.events import server_sent_events
from foundations.client.paths import query, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    Json = Dict[str, Any]


class SearchCalls(Calls):
    """Searches and their trials."""

    def start_search(self, wanted: Json) -> Json:
        """Start a search, see `POST /searches`; return its row."""
        return self._call("POST", "/searches", wanted)

    def searches(self, **conditions: Any) -> List[Json]:
        """Return searches, and jobs that programs submitted together, the newest first."""
        return self._get("/searches" + query(conditions))["searches"]

    def search(self, name: str, part: str = "") -> Json:
        """Return everything about a search, or the `part` /row, /trials or /importance."""
        return self._get("/searches/" + quote(name) + part)

    def change_search(self, name: str, deed: str, how: Json) -> Json:
        """Do `stop`, `resume` or `extend` with a search; return its row."""
        return self._call("POST", "/searches/{}/{}".format(quote(name), deed), how)

    def search_stream(self, name: str) -> Iterator[Tuple[str, Json]]:
        """Yield (`search`, row) at every change of a search until it is over."""
        path = "/api/v1/searches/{}/stream".format(quote(name))
        response = self.connection.request("GET", path, timeout=60.0)
        return server_sent_events(response.chunks)
