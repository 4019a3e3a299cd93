"""The endpoints of limits and shares, and of what is kept for how long."""

from __future__ import annotations

from foundations.client.calls import Calls
from foundations.client.paths import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Sequence

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

    def retention(self) -> Json:
        """Return `{"rules": [...], "exempt": [...]}`: what is kept for how long."""
        return self._get("/retention")

    def set_retention(self, project: str, rule: Json) -> Json:
        """Set what is kept of a project: `remove`, `after`, and what else a rule may say."""
        return self._call("PATCH", "/retention", dict(rule, project=project))

    def remove_retention(self, project: str, what: Sequence[str] = ()) -> Json:
        """Take back what was set for a project, about these things or about all."""
        asked = "&".join("what=" + quote(each) for each in what)
        path = "/retention/{}{}".format(quote(project), "?" + asked if asked else "")
        return self._call("DELETE", path)
