"""The one place that time, IDs and secrets come from."""

from __future__ import annotations

import secrets
import time
import uuid


class SystemClock:
    """Real time and chance."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def new_id(self) -> str:
        """Return a job ID."""
        return str(uuid.uuid4())  # noqa: TID251 - the one place

    def new_token(self) -> str:
        """Return a secret for one attempt."""
        return secrets.token_urlsafe(24)
