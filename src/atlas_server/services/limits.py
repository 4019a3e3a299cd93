"""What users and projects may have: read, changed, and asked before anything is queued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain.allowance import Start, beyond, counted
from atlas_server.domain.limits import (
    NO_LIMITS,
    NO_RULES,
    PROJECT,
    USER,
    Limits,
    Rules,
    Scope,
    checked,
    read_rules,
    scopes,
)
from atlas_server.domain.ports import Clock
from atlas_server.domain.resources import demand_of
from atlas_server.services.archives import JobFiles
from atlas_server.services.feed import Feed
from atlas_server.store import events, limits
from atlas_server.store.engine import Store
from foundations.contract import manifest
from foundations.contract.spec import JobSpec
from foundations.errors import ConfigError, FoundationsError, InvalidRequest, Refused

# Another process may have changed them: so old they are read anew.
_KEPT_SECONDS = 1.0
_HINT = "See what is used: foundations limits"


def configured(value: object) -> Rules:
    """Return the rules of a server's configuration. Raises ConfigError."""
    if value is None:
        return NO_RULES
    try:
        return read_rules(value)
    except ValueError as error:
        raise ConfigError(f"The server's setting limits: {error}") from error


class LimitBook:
    """The limits of a server: those that were set, over those of its configuration."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        bundles: Bundles,
        clock: Clock,
        configured: Rules = NO_RULES,
        files: Iterable[JobFiles] = (),
    ) -> None:
        """Jobs have `files` besides contents, which count, too."""
        self._store = store
        self._feed = feed
        self._bundles = bundles
        self._clock = clock
        self._configured = configured
        self._files = tuple(files)
        self._kept: tuple[float, Rules] | None = None

    def rules(self) -> Rules:
        """Return the limits that count now."""
        now, kept = self._clock.now(), self._kept
        if kept is None or not 0 <= now - kept[0] < _KEPT_SECONDS:
            with self._store.read() as connection:
                kept = now, self._read(connection)
            self._kept = kept
        return kept[1]

    def origin(self, scope: Scope) -> str | None:
        """Return where a user's or project's own limits come from: "set", "file" or None."""
        with self._store.read() as connection:
            if scope in limits.everything(connection):
                return "set"
        return "file" if scope.name in self._configured.given(scope.kind) else None

    def change(self, scope: Scope, changes: Mapping[str, float | None]) -> Limits:
        """Set limits of a user or project; None takes one back. Raises InvalidRequest."""
        if scope.kind not in (USER, PROJECT) or not scope.name.strip():
            raise InvalidRequest("Limits are of a user or a project.")
        try:
            values = {
                name: None if value is None else checked(scope.kind, name, value)
                for name, value in changes.items()
            }
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        with self._store.write(durable=True) as connection:
            given = {**limits.everything(connection).get(scope, {}), **values}
            given = {name: value for name, value in given.items() if value is not None}
            limits.put(connection, scope, given)
            payload = {"kind": scope.kind, "name": scope.name, "limits": given}
            events.append(connection, self._clock.now(), "limits.changed", None, payload)
            self._kept = None
        # The scheduler has to look again, though no job has changed.
        self._feed.notify("")
        return self.rules().of(scope)

    def remove(self, scope: Scope) -> None:
        """Take back all limits of a user or project."""
        self.change(scope, dict.fromkeys(self._given(scope)))

    def follow(self, connection: Connection, old: str, new: str) -> None:
        """Let a project that is renamed keep its limits; of what its new name has the lower count.

        In the transaction that renames it: nobody gets out of a limit by another name.
        """
        had = self._read(connection).given(PROJECT)
        here, there = (had.get(name, NO_LIMITS).given() for name in (old, new))
        both = {name: min(each.get(name, most) for each in (here, there))
                for name, most in {**there, **here}.items()}  # fmt: skip
        for name, given in ((old, {}), (new, both)):
            limits.put(connection, Scope(PROJECT, name), given)
            payload = {"kind": PROJECT, "name": name, "limits": given}
            events.append(connection, self._clock.now(), "limits.changed", None, payload)
        self._kept = None

    def check(self, spec: JobSpec) -> None:
        """Refuse a job that its user or project may not have at all. Raises Refused."""
        rules = self.rules()
        if rules.empty:
            return
        start = Start(spec.user or "unknown", spec.project)
        too_much = beyond(rules, start, demand_of(spec.resources).times(spec.num_nodes))
        if too_much is not None:
            whose = f"{too_much.scope.words()}'s limit"
            raise Refused(
                f"The job asks for more than {whose} of {counted(too_much.what, too_much.most)}.",
                f"Ask for less. {_HINT}",
            )
        self.check_priority(start.user, start.project, spec.priority)
        for scope in scopes(start.user, start.project):
            most = rules.of(scope).stored
            used = self.stored(scope) if most is not None else 0
            if most is not None and used >= most:
                raise Refused(
                    f"{scope.words()} has {_size(used)} stored, and may have {_size(most)}:"
                    " nothing was queued.",
                    "Delete jobs that are not needed: foundations delete job scheduler JOB",
                )

    def check_priority(self, user: str, project: str, priority: int) -> None:
        """Refuse a priority that is higher than a user's or project's jobs may have."""
        most = self.highest_priority(user, project)
        if most is not None and priority > most:
            raise Refused(
                f"Priority {priority} is above {most}, the highest of {user} in this project.",
                _HINT,
            )

    def highest_priority(self, user: str, project: str) -> int | None:
        """Return the highest priority that jobs of a user in a project may have."""
        found = [self.rules().of(scope).priority for scope in scopes(user, project)]
        return min((value for value in found if value is not None), default=None)

    def check_room(self, connection: Connection, user: str, project: str, count: int) -> None:
        """Refuse `count` more waiting jobs where the queue may not be that long.

        In the transaction that queues them. Raises Refused.
        """
        rules = self.rules()
        if rules.empty:
            return
        for scope in scopes(user, project):
            most = rules.of(scope).queued
            if most is None:
                continue
            there = limits.waiting(connection, scope, most)
            if there + count > most:
                many = "One more job" if count == 1 else f"{count} more jobs"
                raise Refused(
                    f"{many} cannot wait: {scope.words()} may have {most} in the queue, and"
                    f" {there} {'is' if there == 1 else 'are'} there. Nothing was queued.",
                    f"Submit again when some have started. {_HINT}",
                )

    def waiting(self) -> dict[Scope, int]:
        """Return how many jobs of each user and each project wait."""
        with self._store.read() as connection:
            return limits.waiting_by_scope(connection)

    def stored(self, scope: Scope) -> int:
        """Return the bytes of a user's or project's code, results, artifacts, logs and the like.

        What several jobs have in common counts once.
        """
        with self._store.read() as connection:
            unknown = limits.unsized(connection, scope)
            unmeasured = limits.unmeasured(connection, scope)
        if unknown or unmeasured:
            sizes = {digest: self._size_of(digest) for digest in unknown}
            measured = {key: self._files_size(job_id) for key, job_id in unmeasured.items()}
            with self._store.write() as connection:
                limits.add_sizes(connection, sizes)
                limits.add_file_sizes(connection, measured)
        with self._store.read() as connection:
            total = limits.stored(connection, scope)
            growing = limits.unfinished(connection, scope)
        return total + sum(map(self._files_size, growing))

    def _files_size(self, job_id: str) -> int:
        """What a job has besides contents."""
        return sum(files.size(job_id) for files in self._files)

    def _size_of(self, digest: str) -> int:
        try:
            return manifest.total_size(self._bundles.entries(digest))
        except FoundationsError:
            return 0  # of a job whose content is gone, or never was a manifest

    def _given(self, scope: Scope) -> dict[str, float]:
        with self._store.read() as connection:
            return limits.everything(connection).get(scope, {})

    def _read(self, connection: Connection) -> Rules:
        found: dict[str, dict[str, Limits]] = {USER: {}, PROJECT: {}}
        for scope, given in limits.everything(connection).items():
            found[scope.kind][scope.name] = Limits(**given)  # type: ignore[arg-type]
        return Rules(found[USER], found[PROJECT]).over(self._configured)


def _size(count: int) -> str:
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
