"""Clears away what nobody needs any more: the one place that knows what that is.

By the server itself now and then (`housekeeping`), or by `atlas-server gc`, beside it or without
it. Any number may do so at once, and any of them may be killed: what is removed is looked at and
removed under the locks that those take who begin to use it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas_server.domain.freed import Freed
from atlas_server.domain.ports import Clock
from atlas_server.domain.retention import Retention
from atlas_server.services.archives import Archives
from atlas_server.services.retention import RetentionRules
from atlas_server.store import events, jobs, retention
from atlas_server.store.engine import Store
from foundations.disk import remove_tree, size_below
from foundations.errors import Refused
from foundations.locks import is_locked

# Environments used by a job that begins just now, by a clock that goes a little otherwise.
_LAG_SECONDS = 60.0
# The scheduler and searches may still be reading what happened to a job that is gone.
_HISTORY_SECONDS = 86400.0
# Caches that are one small file for each thing remembered; they may be deleted at any time.
_CACHES = ("hashes", "interpreters", "images", "yaml")

# Deletes environments used last before a time: (time, dry).
SweepEnvironments = Callable[[float, bool], Freed]
Advance = Callable[[str, int], None]
"""Is told what is looked at, and how many more of it were."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What went, or would go: a kind of thing, or what a `rule` of retention is about."""

    what: str
    freed: Freed
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Clearing:
    """Use cases that clear a home away."""

    store: Store
    archives: Archives
    rules: RetentionRules
    settings: Retention
    home: Path
    sweep_environments: SweepEnvironments
    clock: Clock

    def clear(self, *, dry: bool, advance: Advance = lambda *_: None) -> Iterator[Cleared]:
        """Clear away, and yield what went kind by kind; with `dry` what would go.

        Raises Refused where the database cannot be the one of this home.
        """
        self._check_database()
        for rule, what, freed in self.rules.apply(dry=dry, advance=lambda n: advance("jobs", n)):
            yield Cleared(what, freed, rule)
        if not dry:
            self.archives.tidy(0.0)
        steps: dict[str, Callable[[], Freed]] = {
            "folders of attempts": lambda: self._sweep_work(dry=dry),
            "unfinished uploads": lambda: self.archives.sweep_unfinished(dry=dry),
            "content": lambda: self.archives.sweep(
                dry=dry, advance=lambda n: advance("content", n)
            ),
            "files of removed jobs": lambda: self.archives.sweep_others(dry=dry),
            "environments": lambda: self._sweep_environments(dry=dry),
            "caches": lambda: self._sweep_caches(dry=dry),
            "history of deleted jobs": lambda: self._sweep_history(dry=dry),
            "audit log": lambda: self._sweep_audit(dry=dry),
        }
        for what, sweep in steps.items():
            advance(what, 0)
            freed = sweep()
            if freed.files:
                yield Cleared(what, freed)

    def _check_database(self) -> None:
        with self.store.read() as connection:
            is_new = not events.last_seq(connection)
        if is_new and self.archives.holds_something():
            raise Refused(
                f"The database {self.store.name} has never had a job, and {self.home} has code and"
                " results of some: nothing was removed.",
                "Is it the right one? See database_url in docs/configuration.md.",
            )

    def _sweep_work(self, *, dry: bool) -> Freed:
        work, freed = self.home / "work", Freed()
        for attempt in work.glob("*/*"):
            # One that cannot be removed, or is no attempt at all, does not keep the others.
            with contextlib.suppress(OSError):
                if self._is_over(attempt.parent.name) and not is_locked(attempt / "lock"):
                    freed += Freed(1, size_below(str(attempt)))
                    if not dry:
                        remove_tree(str(attempt))
        for folder in work.glob("*"):
            with contextlib.suppress(OSError):
                if not dry and self._is_over(folder.name):
                    folder.rmdir()  # which takes empty ones only
        return freed

    def _is_over(self, job_id: str) -> bool:
        with self.store.read() as connection:
            job = jobs.find(connection, job_id)
        return job is None or job.state.is_final

    def _sweep_environments(self, *, dry: bool) -> Freed:
        if self.settings.environments is None:
            return Freed()
        unused_since = self.clock.now() - self.settings.environments
        with self.store.read() as connection:
            oldest = jobs.oldest_unfinished(connection)
        if oldest is not None:
            # It may have been the last to begin to use it.
            unused_since = min(unused_since, oldest - _LAG_SECONDS)
        return self.sweep_environments(unused_since, dry)

    def _sweep_caches(self, *, dry: bool) -> Freed:
        freed = Freed()
        if self.settings.environments is None:
            return freed
        limit = self.clock.now() - self.settings.environments
        for cache in _CACHES:
            for path in (self.home / "cache" / cache).glob("*.json"):
                with contextlib.suppress(FileNotFoundError):
                    found = path.stat()
                    if max(found.st_atime, found.st_mtime) < limit:
                        freed += Freed(1, found.st_size)
                        if not dry:
                            path.unlink()
        return freed

    def _sweep_history(self, *, dry: bool) -> Freed:
        before, last, count = self.clock.now() - _HISTORY_SECONDS, "", 0
        while True:
            with self.store.read() as connection:
                gone = retention.gone_jobs(connection, before, last)
                if dry:
                    count += retention.count_events(connection, gone)
            if not gone:
                return Freed(count)
            if not dry:
                with self.store.write() as connection:
                    count += retention.remove_events(connection, gone)
            last = gone[-1]

    def _sweep_audit(self, *, dry: bool) -> Freed:
        if self.settings.audit is None:
            return Freed()
        before, count = self.clock.now() - self.settings.audit, 0
        if dry:
            with self.store.read() as connection:
                return Freed(retention.count_audit(connection, before))
        while True:
            with self.store.write() as connection:
                removed = retention.remove_audit(connection, before)
            if not removed:
                return Freed(count)
            count += removed
