"""Gives runners their assignments, where others can read how an engine was told to start them.

What such a runner is started with is good for one thing, once: to take the attempt, under a token
that the runner itself has chosen and nobody else has seen.
"""

from __future__ import annotations

import hmac
import logging
from typing import Any

from atlas_server.services.assignments import RunnerSettings
from atlas_server.store import jobs as rows
from atlas_server.store.engine import Store
from foundations.contract.tokens import CLAIM, attempt_of, claim_token
from foundations.errors import Fenced, InvalidRequest

log = logging.getLogger(__name__)

_SHORTEST = 32


class Claims:
    """The use case."""

    def __init__(self, store: Store, settings: RunnerSettings) -> None:
        self._store = store
        self._settings = settings

    def claim(self, shown: str, token: str) -> dict[str, Any]:
        """Return the assignment of the attempt whose claim is `shown`; `token` is its from now on.

        Who asks again with the same token gets the same answer: the first may have been lost.
        Raises Fenced where the attempt is over, or somebody else has claimed it.
        """
        if len(token) < _SHORTEST or not token.isascii() or not token.isprintable():
            raise InvalidRequest(f"A runner's token has {_SHORTEST} characters or more.")
        number = attempt_of(shown) if shown.startswith(CLAIM) else 0
        with self._store.write() as connection:
            attempt = rows.find_attempt(connection, number)
            job = rows.find(connection, attempt.job_id) if attempt else None
            if attempt is None or job is None or attempt.ended_at is not None:
                raise Fenced("There is no attempt that could be claimed so.")
            if not _same(attempt.token, token):
                if not _same(claim_token(attempt.id, attempt.token), shown):
                    log.warning(
                        "Attempt %d of job %s was claimed with something that is not good, or not"
                        " any more.", attempt.number, job.job_id,
                    )  # fmt: skip
                    raise Fenced("This attempt has been claimed by somebody else.")
                rows.update_attempt(connection, attempt.id, {"token": token})
                attempt = rows.find_attempt(connection, attempt.id) or attempt
            secrets = rows.secrets(connection, job.id)
        return self._settings.assignment(job, attempt, secrets)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
