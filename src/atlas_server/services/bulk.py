"""The same done with many jobs: named one by one, or by a query; first dry, where that is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atlas_server.domain.answers.system import BulkDone
from atlas_server.domain.records import JobRecord
from atlas_server.domain.rights import Principal
from atlas_server.services.access import Access
from atlas_server.services.edits import Edit, Edits
from atlas_server.services.jobs import Jobs
from atlas_server.services.queries import Asked, Queries
from atlas_server.services.removal import Removal
from atlas_server.store import jobs, listing
from atlas_server.store.engine import Store
from foundations.contract.spec import JobSpec
from foundations.errors import FoundationsError, InvalidQuery, InvalidRequest, Refused

# With so many jobs at once, so that others get their turn.
_BATCH = 200
_MOST_TOLD = 1000

Spec = Callable[[Mapping[str, Any]], JobSpec]


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be done: stop, delete, rerun, tag, untag or priority, and with what."""

    action: str
    tags: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[str] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0


@dataclass(slots=True)
class _Outcome:
    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class Bulk:
    """Use cases over many jobs. `read_spec` makes a spec of JSON; it raises InvalidRequest."""

    def __init__(
        self,
        store: Store,
        queries: Queries,
        jobs: Jobs,
        edits: Edits,
        removal: Removal,
        read_spec: Spec,
        access: Access,
    ) -> None:
        self._store = store
        self._queries = queries
        self._jobs = jobs
        self._edits = edits
        self._removal = removal
        self._read_spec = read_spec
        self._access = access

    def carry_out(
        self, who: Principal, deed: Deed, asked: Asked, *, dry_run: bool, expected: int | None
    ) -> BulkDone:
        """Do something with the jobs that are asked for, each for itself, as far as `who` may.

        Raises Refused where they are not as many as `expected`, InvalidQuery where the query names
        columns that no job has: what it would select may be far from what was meant.
        """
        found = self._found(asked, strict=not dry_run)
        if expected is not None and len(found) != expected and not dry_run:
            raise Refused(
                f"{len(found)} jobs fit by now, not {expected}: nothing was done.",
                "Look at them again.",
            )
        outcome = _Outcome()
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            if deed.action != "rerun" and not who.rules:
                batch = self._in_hands_of(who, batch, outcome)
            act = self._would if dry_run else self._do
            act(who, deed, batch, outcome)
        refused = [{"job_id": job, "message": why} for job, why in outcome.refused.items()]
        told: Any = {
            "action": deed.action,
            "dry_run": dry_run,
            "matched": len(found),
            "done": outcome.done[:_MOST_TOLD],
            "done_total": len(outcome.done),
            "refused": refused[:_MOST_TOLD],
            "refused_total": len(refused),
        }
        return told

    def _found(self, asked: Asked, *, strict: bool) -> list[str]:
        if asked.ids is not None:
            return list(dict.fromkeys(asked.ids))
        with self._store.read() as connection:
            selection, query = self._queries.selection(connection, asked)
            unknown = self._queries.unknown(connection, query, asked.project)
            if unknown and strict:
                first = unknown[0]
                meant = f" Did you mean {first['suggestions'][0]}?" if first["suggestions"] else ""
                raise InvalidQuery(
                    f"No job has {first['column']}.{meant}",
                    "Nothing was done.",
                    {name: first[name] for name in ("position", "length", "suggestions")},
                )
            return jobs.ids_of(connection, listing.keys_of(connection, selection))

    def _in_hands_of(
        self, who: Principal, batch: Sequence[str], outcome: _Outcome
    ) -> Sequence[str]:
        others = {job.job_id: job for job in self._with_ids(batch) if not who.may_manage(job.user)}
        for job in others.values():
            outcome.refused[job.job_id] = f"Job '{job.job_id}' is {job.user}'s."
        return [job_id for job_id in batch if job_id not in others]

    def _do(self, who: Principal, deed: Deed, batch: Sequence[str], outcome: _Outcome) -> None:
        refused: dict[str, str] = {}
        if deed.action == "rerun":
            self._rerun(who, deed, batch, outcome)
            return
        if deed.action == "stop":
            refused = self._jobs.stop_all(batch)
        elif deed.action == "priority":
            refused = self._edits.set_priority(batch, deed.priority)
        else:
            found = {job.job_id: job for job in self._with_ids(batch)}
            refused = {job: _gone(job) for job in batch if job not in found}
            if deed.action == "delete":
                refused |= self._removal.delete_all(list(found.values()))
            else:
                edit = Edit({}, deed.tags, deed.keys)
                self._edits.edit(list(found), edit)
        outcome.refused |= refused
        outcome.done += [job for job in batch if job not in refused]

    def _rerun(self, who: Principal, deed: Deed, batch: Sequence[str], outcome: _Outcome) -> None:
        found = {job.job_id: job for job in self._with_ids(batch)}
        for job_id in batch:
            job = found.get(job_id)
            if job is None:
                outcome.refused[job_id] = _gone(job_id)
                continue
            try:
                spec = self._read_spec({**job.spec, "project": job.project, **deed.changes})
                again = self._jobs.rerun(
                    job,
                    self._access.signed(who, spec),
                    same_worker="worker" not in deed.changes,
                    with_secrets=who.may_manage(job.user),
                )
            except FoundationsError as error:
                outcome.refused[job_id] = error.message
            else:
                outcome.done.append(again.job_id)

    def _would(self, _: Principal, deed: Deed, batch: Sequence[str], outcome: _Outcome) -> None:
        """What `_do` would, as far as that can be told from the jobs' states."""
        found = {job.job_id: job for job in self._with_ids(batch)}
        for job_id in batch:
            why = _gone(job_id) if job_id not in found else _obstacle(deed.action, found[job_id])
            if why is None:
                outcome.done.append(job_id)
            else:
                outcome.refused[job_id] = why

    def _with_ids(self, batch: Sequence[str]) -> list[JobRecord]:
        with self._store.read() as connection:
            return jobs.with_ids(connection, batch)


def _obstacle(action: str, job: JobRecord) -> str | None:
    if action == "delete" and not job.state.is_final:
        return f"Job '{job.job_id}' is {job.state.value}: only finished jobs can be deleted."
    if action in ("stop", "priority") and job.state.is_final:
        return f"Job '{job.job_id}' is over."
    return None


def _gone(job_id: str) -> str:
    return f"There is no job '{job_id}'."


def check(deed: Deed) -> None:
    """Raise InvalidRequest for a deed that lacks what it is to be done with."""
    if deed.action == "tag" and not deed.tags:
        raise InvalidRequest("There are no tags to set.", "Give `tags`: {key: value}.")
    if deed.action == "untag" and not deed.keys:
        raise InvalidRequest("There are no tags to remove.", "Give `keys`: [key].")
