"""Who somebody is, by what they show."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from atlas_server.domain.ports import Clock
from atlas_server.domain.rights import ANONYMOUS, OWNER, Kind, Principal, Role, within
from atlas_server.services.tokens import KINDS, digest
from atlas_server.store import accounts, jobs
from atlas_server.store.accounts import TokenRecord
from atlas_server.store.engine import Store
from foundations.contract.states import FINAL_STATES
from foundations.contract.tokens import JOB, LOGIN, PERSONAL, SERVER, attempt_of, job_token
from foundations.errors import Fenced, Unauthenticated

# What was found is believed for so long: what another process ends, ends this late.
_BELIEVED = 2.0
_MOST_KEPT = 10_000
# That a token is used is written down once in so many seconds, or tenths of what it lives on for.
_NOTED = 60.0

_LOG_IN = "Log in: foundations login URL"
_INVALID = "Token is not valid: it is unknown, expired or revoked."


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows: a token of its header, a session of its cookie, both may be ''.

    `by_job_socket` is true where it came the way that jobs have, on which nobody is the owner.
    """

    token: str = ""
    session: str = ""
    address: str = ""
    by_job_socket: bool = False


class Identification:
    """Knows who is meant; `enabled` is False on a server that has one user, who need not say.

    `own` is the secret of runners that take in what was run by hand.
    """

    def __init__(self, store: Store, clock: Clock, own: str, *, enabled: bool) -> None:
        self.enabled = enabled
        self._store = store
        self._clock = clock
        self._own = SERVER + own
        self._known: dict[str, tuple[float, Principal]] = {}

    @property
    def own_token(self) -> str:
        """What such a runner shows."""
        return self._own

    def forget(self) -> None:
        """Look at everything anew: something may have ended."""
        self._known.clear()

    def at_once(self, shown: Shown) -> Principal | None:
        """Return who is meant where that is known without looking; None where it has to be."""
        secret = self._secret(shown)
        if not secret:
            return ANONYMOUS if self.enabled or shown.by_job_socket else OWNER
        since, who = self._known.get(digest(secret), (-_BELIEVED, None))
        now = self._clock.now()
        if who is None or now - since >= _BELIEVED or (who.expires_at or now) < now:
            return None
        return who

    def look_up(self, shown: Shown) -> Principal:
        """Return who is meant.

        Raises Unauthenticated, or Fenced for a runner, where what is shown is not valid any more.
        """
        secret = self._secret(shown)
        if not secret:
            return ANONYMOUS if self.enabled or shown.by_job_socket else OWNER
        if hmac.compare_digest(secret.encode("utf-8", "surrogateescape"), self._own.encode()):
            return Principal(Kind.SERVER, through="server")
        if secret.startswith(JOB):
            principal = self._job(secret)
        elif secret.startswith(tuple(KINDS.values())):
            principal = self._user(secret, shown)
        else:
            principal = self._runner(secret)
        if len(self._known) > _MOST_KEPT:
            self._known.clear()
        self._known[digest(secret)] = (self._clock.now(), principal)
        return principal

    def _secret(self, shown: Shown) -> str:
        if not self.enabled and shown.token.startswith((LOGIN, PERSONAL)):
            # The one user has one for another server.
            return ""
        return shown.token or (shown.session if self.enabled else "")

    def _user(self, secret: str, shown: Shown) -> Principal:
        now = self._clock.now()
        with self._store.read() as connection:
            token = accounts.token_by_digest(connection, digest(secret))
        if token is None or (token.expires_at is not None and token.expires_at <= now):
            raise Unauthenticated(_INVALID, _LOG_IN)
        # A cookie cannot be used as a header, nor the other way round.
        is_session = not shown.token
        if (token.kind == "session") is not is_session:
            raise Unauthenticated(_INVALID, _LOG_IN)
        token = self._noted(token, shown.address, now)
        return Principal(
            Kind.USER,
            token.user_name,
            within(token.role, token.scope),
            token.scope,
            through=f"token {token.name}" if token.kind == "personal" else token.kind,
            token=token.id,
            session=is_session,
            expires_at=token.expires_at,
        )

    def _noted(self, token: TokenRecord, address: str, now: float) -> TokenRecord:
        """Write down that a token is used, and let it live on where use makes it."""
        pause = _NOTED if token.idle is None else min(_NOTED, token.idle / 10)
        if token.used_at is not None and now - token.used_at < pause and token.address == address:
            return token
        values: dict[str, object] = {"used_at": now, "address": address}
        if token.idle is not None:
            values["expires_at"] = now + token.idle
        with self._store.write() as connection:
            accounts.used(connection, token.id, values)
        return replace(token, expires_at=values.get("expires_at", token.expires_at))

    def _job(self, secret: str) -> Principal:
        with self._store.read() as connection:
            attempt = jobs.find_attempt(connection, attempt_of(secret))
            job = jobs.find(connection, attempt.job_id) if attempt else None
            if attempt is None or job is None or not _same(secret, attempt.id, attempt.token):
                raise Unauthenticated("Token is not valid: it is not that of a job.")
            if attempt.ended_at is not None or job.state in FINAL_STATES:
                raise Unauthenticated(f"Token is not valid: it has ended with job '{job.job_id}'.")
            role = self._role(connection, job.user)
        through = f"job {job.job_id}"
        return Principal(
            Kind.JOB,
            job.user,
            role or Role.VIEWER,
            through=through,
            job_id=job.job_id,
            attempt=attempt.id,
            project=job.project if role else "",
            of_only_user=not self.enabled,
        )

    def _role(self, connection: Connection, user: str) -> Role | None:
        """What a job's user is; where that is nobody any more, the job is left what is its own."""
        if not self.enabled:
            return Role.MEMBER
        known = accounts.find_user(connection, user)
        return known.role if known else None

    def _runner(self, secret: str) -> Principal:
        with self._store.read() as connection:
            attempt = jobs.attempt_by_token(connection, secret)
        if attempt is None:
            raise Unauthenticated(_INVALID, _LOG_IN)
        if attempt.ended_at is not None:
            raise Fenced(f"Attempt {attempt.number} of job '{attempt.job_id}' is over.")
        return Principal(Kind.RUNNER, through="runner", job_id=attempt.job_id, attempt=attempt.id)


def _same(secret: str, attempt: int, token: str) -> bool:
    given = secret.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, job_token(attempt, token).encode())
