"""Which jobs somebody's rights reach, and what is written of a job's origin."""

from __future__ import annotations

from dataclasses import replace

from atlas_server.domain.records import JobRecord
from atlas_server.domain.rights import Kind, Principal, Right
from atlas_server.services.views import Views
from foundations.contract.spec import JobSpec
from foundations.errors import Forbidden, Unauthenticated

# Jobs submit jobs that submit jobs: so far is looked back for the first of them.
_MOST_GENERATIONS = 100


class Access:
    """Decides; the rights themselves are in `domain.rights`."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def check(self, who: Principal, right: Right) -> None:
        """Raise Unauthenticated or Forbidden where somebody lacks a right."""
        if who.may(right):
            return
        if who.kind is Kind.ANONYMOUS:
            raise Unauthenticated("This server asks who you are.", "Log in: foundations login URL")
        raise _lacking(who, right)

    def job(self, who: Principal, right: Right, reference: str) -> JobRecord:
        """Return the job that a reference names, if somebody's right to one job reaches it.

        Raises NotFound, Ambiguous or Forbidden.
        """
        job = self._views.resolve(reference)
        if right is Right.MANAGE_JOB:
            self.check_managing(who, job)
        elif who.kind is Kind.JOB and not self._may_read(who, job):
            if right is not Right.READ_DIRECTORY or not who.of_only_user:
                raise _not_of_family()
        return job

    def check_results(self, who: Principal, project: str) -> None:
        """Raise Forbidden where the results of a project are not somebody's to read."""
        if not who.may_read_results(project):
            raise Forbidden(
                f"A job reads the results of its own project, '{who.project}', and of no other.",
                "Do this where you are logged in.",
            )

    def check_managing(self, who: Principal, job: JobRecord) -> None:
        """Raise Forbidden where a job is not somebody's to change."""
        if not self.may_manage(who, job):
            raise _not_of_family() if who.kind is Kind.JOB else _others(job)

    def may_manage(self, who: Principal, job: JobRecord) -> bool:
        """Whether a job is somebody's to change."""
        if who.kind is Kind.JOB:
            return who.name == job.user and self._is_of_family(who, job)
        return who.may_manage(job.user)

    def signed(self, who: Principal, spec: JobSpec) -> JobSpec:
        """Return a spec that says truly whose job it is, and which job submitted it."""
        if who.is_trusted:
            return spec
        if who.kind is Kind.JOB:
            return replace(spec, user=who.name, parent=who.job_id)
        return replace(spec, user=who.name, parent=self._own_parent(who, spec.parent))

    def _own_parent(self, who: Principal, parent: str | None) -> str | None:
        """The parent that a user names, where it is a job of theirs."""
        if not parent:
            return None
        found = self._views.by_ids([parent]).get(parent)
        # One that was run by hand may not be known here yet.
        return parent if found is None or found.user == who.name else None

    def _may_read(self, who: Principal, job: JobRecord) -> bool:
        """Whether a job may look at another: its family's, or one of its own user and search.

        Those that one program submits hand each other what they have learned.
        """
        if who.job_id is None or self._is_of_family(who, job):
            return who.job_id is not None
        own = self._views.by_ids([who.job_id]).get(who.job_id)
        return (
            own is not None
            and own.search is not None
            and (own.search, own.user) == (job.search, job.user)
        )

    def _is_of_family(self, who: Principal, job: JobRecord) -> bool:
        """Whether a job is the one that asks, or one that it has submitted, directly or not."""
        generations = 0
        found = job
        while found.job_id != who.job_id:
            parent = found.spec.get("parent")
            generations += 1
            if not parent or generations > _MOST_GENERATIONS:
                return False
            known = self._views.by_ids([parent])
            if parent not in known:
                return False
            found = known[parent]
        return True


def _lacking(who: Principal, right: Right) -> Forbidden:
    if who.kind is Kind.JOB:
        return Forbidden(
            "A job reaches itself and the jobs that it has submitted, nothing else.",
            "Do this where you are logged in.",
        )
    if who.kind is Kind.USER and right is not Right.ADMIN:
        return Forbidden(
            f"'{who.name}' may only look ({_why(who)}).",
            "An admin can change that: atlas-server user role NAME member",
        )
    if who.kind is Kind.USER:
        return Forbidden(f"'{who.name}' is no admin ({_why(who)}).", "Ask an admin to do this.")
    return Forbidden("This token is for runners, and for what they do alone.")


def _why(who: Principal) -> str:
    return f"role {who.role.value}, by {who.through}"


def _not_of_family() -> Forbidden:
    return Forbidden(
        "A job reaches itself and the jobs that it, or its own program, has submitted: this is"
        " another one.",
        "Do this where you are logged in.",
    )


def _others(job: JobRecord) -> Forbidden:
    return Forbidden(
        f"Job '{job.job_id}' is {job.user}'s: its owner and admins can change it.",
        f"A copy of your own: foundations rerun {job.job_id}",
    )
