"""The endpoints of limits and shares."""

from __future__ import annotations

from foundations.client.calls import Calls
from foundations.client.paths import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Json = Dict[str, Any]


class LimitCalls(Calls):
    """What users and projects may have, and have."""

    def limits(self) -> Json:
        """Return `{"limits": [...]}`: what users and projects may have, and have."""
        return self._get("/limits")

    def set_limits(self, kind: str, name: str, limits: Json) -> Json:
        """Set limits of a user or project; None takes one back."""
        return self._call("PATCH", "/limits", {"kind": kind, "name": name, "limits": limits})

    def remove_limits(self, kind: str, name: str) -> Json:
        """Take back all limits that were set for a user or project."""
        return self._call("DELETE", "/limits/{}/{}".format(quote(kind), quote(name)))
