"""What only a node can tell: where the server is now, and the interpreter of jobs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Protocol


class Told(Protocol):
    """What a runner, or a pilot, was told of the server."""

    @property
    def home(self) -> str:
        """The FOUNDATIONS_HOME that it works in."""
        ...

    @property
    def remote(self) -> bool:
        """Whether that is not the server's."""
        ...

    @property
    def server_stays(self) -> bool:
        """Whether the server will always be where it is."""
        ...


def server_now(told: Told, known: str) -> str:
    """Return the server's address as its home tells it; `known` where nothing is told.

    It may have come back on another port.
    """
    if told.remote or told.server_stays:
        return known  # what runs on this machine is not meant
    try:
        facts = json.loads((Path(told.home) / "run" / "server.json").read_text())
        return str(facts.get("url") or known)
    except (OSError, ValueError):
        return known


def interpreter_here(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a job's spec with our interpreter where this node lacks the submitter's."""
    wanted = spec["interpreter"]
    return spec if wanted and shutil.which(wanted) else {**spec, "interpreter": sys.executable}
