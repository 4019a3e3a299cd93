"""Who may do what. Pure: roles, what they may, and who somebody is for the server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What an account is for: looking, working, looking after everything."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"


class Scope(Enum):
    """The most that a token may, whatever the role of its user."""

    READ = "read"
    SUBMIT = "submit"
    ALL = "all"


class Right(Enum):
    """What an endpoint asks of those who call it."""

    PUBLIC = "public"
    """Nothing."""
    ACCOUNT = "account"
    """To be somebody who has signed in: about that person's own account."""
    READ = "read"
    """To look at everything."""
    READ_JOB = "read job"
    """To look at the one job that the path names."""
    READ_SEARCH = "read search"
    """To look at the one search that the path names."""
    MANAGE_SEARCH = "manage search"
    """To stop, resume or extend the one search that the path names."""
    READ_DIRECTORY = "read directory"
    """To look at what the one job that the path names hands on to others."""
    READ_RESULTS = "read results"
    """To look at parameters and metrics of all jobs of a project."""
    SUBMIT = "submit"
    """To make jobs."""
    COPY_JOB = "copy job"
    """To make a job that is like the one that the path names."""
    MANAGE_JOB = "manage job"
    """To change, stop or delete the one job that the path names."""
    CHANGE = "change"
    """To change what all share: notes, descriptions."""
    SEND = "send"
    """To bring content that jobs are made of, or have made."""
    FETCH = "fetch"
    """To have content by its digest."""
    RUNNER = "runner"
    """To have the token of an attempt; the use case looks at it."""
    ADMIN = "admin"
    """To look after users and everybody's jobs."""


class Kind(Enum):
    """What somebody has shown."""

    ANONYMOUS = "anonymous"
    OWNER = "owner"
    """Nothing, where that is enough: the one user of a server that only this machine reaches."""
    USER = "user"
    JOB = "job"
    RUNNER = "runner"
    SERVER = "server"
    """A runner that the server has sent to take in a job which was run by hand."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who somebody is. `role` is what counts: that of the user, within the token's scope.

    `through` says for people by what the user is known, `token` is its key; `job_id` is set for a
    job, `attempt` for a job and a runner. `project` is a job's own, whose results it reads;
    '' where its user is nobody any more. To a job `of_only_user` other jobs are no strangers:
    what they hand on, and results of all projects, are open to it.
    """

    kind: Kind
    name: str = ""
    role: Role = Role.VIEWER
    scope: Scope = Scope.ALL
    through: str = ""
    token: int | None = None
    session: bool = False
    expires_at: float | None = None
    job_id: str | None = None
    attempt: int | None = None
    project: str = ""
    of_only_user: bool = False

    @property
    def rules(self) -> bool:
        """Whether everybody's jobs are in this one's hands."""
        return self.kind in (Kind.OWNER, Kind.SERVER) or (
            self.kind is Kind.USER and self.role is Role.ADMIN
        )

    @property
    def is_trusted(self) -> bool:
        """Whether what this one says of a job's user is true."""
        return self.kind in (Kind.OWNER, Kind.SERVER)

    def may_manage(self, user: str) -> bool:
        """Whether jobs of `user` are in this one's hands; of a job they never are as such."""
        own = self.kind is Kind.USER and self.role is not Role.VIEWER and self.name == user
        return self.rules or own

    def may_read_results(self, project: str) -> bool:
        """Whether the right to results reaches those of a project."""
        return self.kind is not Kind.JOB or self.of_only_user or self.project == project

    def may(self, right: Right) -> bool:
        """Whether somebody has a right; which jobs it reaches is another question."""
        if right is Right.PUBLIC:
            return True
        if self.kind is Kind.USER:
            return right in _OF_ROLE[self.role]
        if self.kind is Kind.JOB:
            if right is Right.READ_RESULTS:
                return self.of_only_user or bool(self.project)
            allowed = _OF_JOB if self.role is not Role.VIEWER else _READING
            return right in allowed
        return right in _OF_KIND[self.kind]


ANONYMOUS = Principal(Kind.ANONYMOUS)
OWNER = Principal(Kind.OWNER, role=Role.ADMIN)

_VIEWER = frozenset({
    Right.ACCOUNT,
    Right.READ,
    Right.READ_JOB,
    Right.READ_DIRECTORY,
    Right.READ_RESULTS,
    Right.READ_SEARCH,
    Right.FETCH,
})  # fmt: skip
_MEMBER = _VIEWER | {
    Right.SUBMIT,
    Right.COPY_JOB,
    Right.MANAGE_JOB,
    Right.MANAGE_SEARCH,
    Right.CHANGE,
    Right.SEND,
}
_OF_ROLE = {Role.VIEWER: _VIEWER, Role.MEMBER: _MEMBER, Role.ADMIN: _MEMBER | {Right.ADMIN}}
_READING = frozenset({Right.READ_JOB, Right.READ_DIRECTORY, Right.READ_SEARCH})
_OF_JOB = _READING | {
    Right.MANAGE_SEARCH,
    Right.SUBMIT,
    Right.COPY_JOB,
    Right.MANAGE_JOB,
    Right.SEND,
}
_OF_KIND = {
    Kind.ANONYMOUS: frozenset[Right](),
    Kind.OWNER: _OF_ROLE[Role.ADMIN],
    Kind.RUNNER: frozenset({Right.SEND, Right.FETCH}),
    Kind.SERVER: frozenset({Right.SUBMIT, Right.SEND, Right.MANAGE_JOB}),
}
_RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2}
_CEILING = {Scope.READ: Role.VIEWER, Scope.SUBMIT: Role.MEMBER, Scope.ALL: Role.ADMIN}


def within(role: Role, scope: Scope) -> Role:
    """Return what is left of a role within a scope."""
    return min(role, _CEILING[scope], key=_RANK.__getitem__)
