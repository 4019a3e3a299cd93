"""Finds out who a request comes from, and takes down what they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio.to_thread
from fastapi import Request

from atlas_server.api.errors import status_of
from atlas_server.domain.deeds import Deed
from atlas_server.domain.ports import Clock
from atlas_server.domain.rights import ANONYMOUS, Kind, Principal, Right
from atlas_server.services.access import Access
from atlas_server.services.audit import AuditLog
from atlas_server.services.identification import Identification, Shown
from foundations.errors import BlobsMissing, Fenced, Forbidden, Unauthenticated

_BEARER = "bearer "
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
JOB_SOCKET = "jobs.sock"


@dataclass
class Entry:
    """What is about to be written into the audit log: `user` where the request has none yet."""

    outcome: int = 500
    user: str = ""
    is_over: bool = True


class Gate:
    """What every guarded endpoint asks; `cookie` is the name of the cookie that sessions have."""

    def __init__(
        self,
        identification: Identification,
        access: Access,
        audit: AuditLog,
        clock: Clock,
        cookie: str,
    ) -> None:
        self.access = access
        self.identification = identification
        self.cookie = cookie
        self._audit = audit
        self._clock = clock

    @property
    def keeps_audit(self) -> bool:
        """Whether it is of interest who does what: on a server with one user it is not."""
        return self.identification.enabled

    async def identify(self, request: Request, right: Right = Right.READ) -> Principal:
        """Return who sent a request. Raises Unauthenticated, Fenced or Forbidden."""
        if right is Right.RUNNER:
            return ANONYMOUS  # its use case looks at the token
        shown = self._shown(request)
        try:
            who = self.identification.at_once(shown)
            if who is None:
                who = await anyio.to_thread.run_sync(self.identification.look_up, shown)
        except (Unauthenticated, Fenced):
            # Whoever has only something old to show may still log in.
            if right is Right.PUBLIC:
                return ANONYMOUS
            raise
        if who.session and request.method not in _SAFE and not _is_own_page(request):
            raise Forbidden("This was not sent by a page of this server.")
        return who

    def check_runner(self, request: Request) -> None:
        """Raise Unauthenticated for a request without any token."""
        if not request.headers.get("authorization"):
            raise Unauthenticated("Runners say who they are by the token of their attempt.")

    @contextmanager
    def taken_down(self, request: Request, action: str) -> Iterator[Entry]:
        """Write into the audit log what happens inside, whatever comes of it."""
        entry = Entry()
        request.state.entry = entry
        try:
            yield entry
        except Exception as error:
            entry.outcome = status_of(error)
            # Content is still to be sent: that is no refusal, and the same request comes again.
            entry.is_over = not isinstance(error, BlobsMissing)
            raise
        finally:
            who: Principal = getattr(request.state, "who", ANONYMOUS)
            # Anybody can be refused, as often as they like; who tries passwords is of interest.
            if (who.kind is not Kind.ANONYMOUS or entry.user) and entry.is_over:
                self._note(request, action, who, entry)

    def _note(self, request: Request, action: str, who: Principal, entry: Entry) -> None:
        named = [str(value) for value in request.scope.get("path_params", {}).values()]
        self._audit.note(
            Deed(
                self._clock.now(),
                entry.user or who.name,
                who.through,
                address_of(request),
                action,
                " ".join([*named, *request.state.targets]),
                entry.outcome,
            )
        )

    def _shown(self, request: Request) -> Shown:
        header = request.headers.get("authorization", "")
        token = header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else ""
        enabled = self.identification.enabled
        session = "" if token or not enabled else request.cookies.get(self.cookie, "")
        return Shown(token, session, address_of(request), came_by_job_socket(request))


def address_of(request: Request) -> str:
    """Return the address that a request comes from; "local" by a Unix socket."""
    return request.client.host if request.client else "local"


def came_by_job_socket(request: Request) -> bool:
    """Whether a request came the way that jobs have."""
    server = request.scope.get("server")
    return server is None or (server[1] is None and str(server[0]).endswith("/" + JOB_SOCKET))


def _is_own_page(request: Request) -> bool:
    """Whether the browser says that a page of ours sends this; `Guard` has looked at its words."""
    site = request.headers.get("sec-fetch-site")
    return site == "same-origin" or (site is None and "origin" in request.headers)
