"""Claims of pilots, where others can read how a pilot was started: each is good once."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Container

from foundations.contract.tokens import CLAIM, pilot_token
from foundations.errors import Fenced

log = logging.getLogger(__name__)


class PilotClaims:
    """They are known to this process alone: a server that comes back sends away who is late.

    `secret` makes the tokens for which they are exchanged.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._lock = threading.Lock()
        # What is to be shown, and the word of whoever has shown it.
        self._claims: dict[str, tuple[str, str | None]] = {}

    def new(self, name: str) -> str:
        """Return what the pilot of this name is to show."""
        claim = CLAIM + secrets.token_urlsafe(24)
        with self._lock:
            self._claims[name] = (claim, None)
        return claim

    def admit(self, name: str, shown: str, word: str | None) -> str:
        """Return the pilot's token to who shows its claim first.

        Who asks again with the same `word` of its own gets it again: the answer may have been lost.
        Raises Fenced.
        """
        with self._lock:
            claim, before = self._claims.get(name, ("", None))
            good = word and hmac.compare_digest(claim.encode(), shown.encode())
            if not good or before not in (None, word):
                log.warning("Somebody has shown a claim of the pilot %s that is not good.", name)
                raise Fenced("There is no such pilot, or it has been claimed by somebody else.")
            self._claims[name] = (claim, word)
        return pilot_token(self._secret, name)

    def keep(self, names: Container[str]) -> None:
        """Forget pilots that are not among these."""
        with self._lock:
            for name in [name for name in self._claims if name not in names]:
                del self._claims[name]
