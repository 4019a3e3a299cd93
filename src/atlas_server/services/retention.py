"""Carries out the rules of what is kept for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain.deeds import Deed
from atlas_server.domain.freed import Freed
from atlas_server.domain.ports import Clock
from atlas_server.domain.records import JobRecord
from atlas_server.domain.retention import ARTIFACTS, JOB, RESULTS, Retention, Rule
from atlas_server.services.archives import Archives, JobFiles
from atlas_server.services.removal import Removal
from atlas_server.store import audits, events, retention, tracking
from atlas_server.store import jobs as rows
from atlas_server.store.engine import Store
from foundations.contract import manifest
from foundations.errors import FoundationsError

# Of so many jobs in one transaction: others want to write in between.
_BATCH = 100


class RetentionRules:
    """Removes what rules say. `files` are those kept beside contents, by what rules call them."""

    def __init__(
        self,
        store: Store,
        archives: Archives,
        bundles: Bundles,
        removal: Removal,
        files: Mapping[str, JobFiles],
        clock: Clock,
        settings: Retention,
    ) -> None:
        self._store = store
        self._archives = archives
        self._bundles = bundles
        self._removal = removal
        self._files = files
        self._clock = clock
        self._settings = settings

    def apply(
        self, *, dry: bool, advance: Callable[[int], None]
    ) -> Iterator[tuple[str, str, Freed]]:
        """Yield each rule, what it removed (with `dry`: would), and how many jobs' and bytes.

        Jobs that several rules are about are counted with each of them in a dry run.
        """
        with self._store.read() as connection:
            own = retention.rules_of_projects(connection)
        set_here = [rule for each in own if (rule := each.rule()) is not None]
        for rule in (*self._settings.rules, *set_here):
            for what in rule.remove:
                others = () if rule in set_here else (e.project for e in own if e.what == what)
                freed = self._carry_out(rule, what, frozenset(others), dry=dry, advance=advance)
                if freed.files:
                    yield rule.name, what, freed
                    if not dry:
                        self._write_down(rule, what, freed)

    def _carry_out(
        self,
        rule: Rule,
        what: str,
        others: frozenset[str],
        *,
        dry: bool,
        advance: Callable[[int], None],
    ) -> Freed:
        """Carry a rule out, but for projects that have `others` about it."""
        with self._store.read() as connection:
            names = retention.project_names(connection)
        freed = Freed()
        for name, key in names.items():
            last = 0
            while name not in others and rule.is_about(name):
                found, removed = self._batch(key, rule, what, last, dry=dry)
                freed += removed
                advance(len(found))
                if len(found) < _BATCH:
                    break
                last = found[-1].id
        return freed

    def _batch(
        self, project: int, rule: Rule, what: str, last: int, *, dry: bool
    ) -> tuple[list[JobRecord], Freed]:
        """Carry a rule out for some jobs of a project whose keys come after `last`."""
        now, exempt = self._clock.now(), self._settings.exempt
        asked = (project, rule, what, exempt, now, last, _BATCH)
        if dry or what == JOB:
            with self._store.read() as connection:
                found = retention.due(connection, *asked)
                sizes = [self._size(connection, job, what) for job in found]
            if not dry:
                self._removal.delete_due(lambda c: retention.due(c, *asked), rule.name)
            return found, _total(sizes)
        with self._store.write(durable=True) as connection:
            found = retention.due(connection, *asked)
            sizes = [self._size(connection, job, what) for job in found]
            noted = {
                job.id: retention.Removal(what, rule.name, now, size.files, size.size)
                for job, size in zip(found, sizes, strict=True)
            }
            retention.note(connection, noted)
            had = self._take(connection, found, what)
            for job, size in zip(found, sizes, strict=True):
                if size.files:
                    told = {"what": what, "rule": rule.name, "bytes": size.size}
                    events.append(connection, now, "job.content_removed", job.job_id, told)
        # Whoever is killed here leaves files whose removal is noted: they go with the next sweep.
        self._archives.release(had)
        if what in self._files:
            for job in found:
                self._files[what].remove(job.job_id)
        return found, _total(sizes)

    def _take(
        self, connection: Connection, found: list[JobRecord], what: str
    ) -> set[tuple[str, bool]]:
        """Forget contents of jobs; return the digests, and whether they are manifests."""
        had: set[tuple[str, bool]] = set()
        if what == ARTIFACTS:
            for job in found:
                had |= tracking.artifact_digests(connection, job.id)
            retention.remove_artifacts(connection, [job.id for job in found])
        elif what == RESULTS:
            for job in found:
                if job.outputs:
                    had.add((job.outputs, True))
                    rows.set_values(connection, job.id, {"outputs": None})
        return had

    def _size(self, connection: Connection, job: JobRecord, what: str) -> Freed:
        """One where a job has some of it, and the bytes. Of contents also what others share."""
        if what == JOB:
            parts = (ARTIFACTS, RESULTS, *self._files)
            return Freed(1, sum(self._size(connection, job, part).size for part in parts))
        if what == ARTIFACTS:
            count, size = retention.artifacts_of(connection, job.id)
            return Freed(min(count, 1), size)
        if what == RESULTS:
            return Freed(1, self._manifest_size(job.outputs)) if job.outputs else Freed()
        size = self._files[what].size(job.job_id)
        return Freed(1 if size else 0, size)

    def _manifest_size(self, digest: str) -> int:
        try:
            return manifest.total_size(self._bundles.entries(digest))
        except FoundationsError:
            return 0

    def _write_down(self, rule: Rule, what: str, freed: Freed) -> None:
        target = f"rule '{rule.name}': {what} of {freed.files} jobs"
        if what == JOB:
            target = f"rule '{rule.name}': {freed.files} jobs"
        deed = Deed(
            self._clock.now(), "retention", "atlas-server", "local", "retention.remove", target, 200
        )
        with self._store.write() as connection:
            audits.append(connection, [deed])


def _total(sizes: list[Freed]) -> Freed:
    return sum(sizes, Freed())
