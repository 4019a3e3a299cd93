"""What people change about jobs afterwards: names, notes, tags, places in the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from atlas_server.domain.ports import Clock
from atlas_server.domain.records import SPACING, JobRecord
from atlas_server.domain.reports import readable
from atlas_server.services.feed import Feed
from atlas_server.services.limits import LimitBook
from atlas_server.store import events, jobs, queue, texts, tracking
from atlas_server.store.engine import Store
from foundations.contract.states import JobState
from foundations.errors import InvalidRequest, NotFound, Refused

_LONGEST_NAME = 500
_LONGEST_NOTES = 200_000
_MOST_TAGS = 1000
HIGHEST_PRIORITY = 1000


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes of a job. What is not in `values` (name, notes) stays; tags are set, keys removed."""

    values: Mapping[str, str | None]
    tags: Mapping[str, str]
    untag: Sequence[str] = ()


class Edits:
    """Use cases that change what is said about jobs, never what they do."""

    def __init__(self, store: Store, feed: Feed, clock: Clock, limits: LimitBook) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._limits = limits

    def edit(self, job_ids: Sequence[str], edit: Edit) -> list[str]:
        """Change jobs; return the IDs of those that exist. Raises InvalidRequest."""
        values = {name: _text(value) for name, value in edit.values.items()}
        tags = {_key(key): _text(value) or "" for key, value in edit.tags.items()}
        _check(values, tags)
        what = [*values, *(["tags"] if tags or edit.untag else [])]
        with self._store.write(durable=True) as connection:
            keys = jobs.keys_of(connection, job_ids)
            for key in keys.values():
                if values:
                    jobs.set_values(connection, key, values)
                    texts.refresh(connection, key)
                if tags:
                    tracking.set_tags(connection, key, tags)
                if edit.untag:
                    tracking.remove_tags(connection, key, edit.untag)
            self._tell(connection, list(keys), {"what": what})
        for job_id in keys:
            self._feed.notify(job_id, moved=False)
        return list(keys)

    def set_priority(self, job_ids: Sequence[str], priority: int) -> dict[str, str]:
        """Give jobs that are not over another priority; return of each other one why not."""
        if abs(priority) > HIGHEST_PRIORITY:
            raise InvalidRequest(f"priority must lie between -{HIGHEST_PRIORITY} and 1000.")
        refused: dict[str, str] = {}
        with self._store.write(durable=True) as connection:
            found = {job.job_id: job for job in jobs.with_ids(connection, job_ids)}
            for job_id in job_ids:
                job = found.get(job_id)
                if job is None or job.state.is_final:
                    gone = "has been deleted" if job is None else "is over"
                    refused[job_id] = f"Job '{job_id}' {gone}: it has no priority any more."
                elif (most := self._highest(job)) is not None and priority > most:
                    refused[job_id] = f"Job '{job_id}' may have priority {most} at most."
                else:
                    jobs.set_values(connection, job.id, {"priority": priority, "place": None})
            changed = [job_id for job_id in found if job_id not in refused]
            self._tell(connection, changed, {"what": ["priority"], "priority": priority})
        for job_id in changed:
            self._feed.notify(job_id)
        return refused

    def move_before(self, job: JobRecord, other: JobRecord) -> None:
        """Let a waiting job have its turn before another. Raises Refused."""
        with self._store.write(durable=True) as connection:
            mine, before = _waiting(connection, job), _waiting(connection, other)
            if mine.id == before.id:
                raise Refused("A job cannot be moved before itself.")
            self._limits.check_priority(mine.user, mine.project, before.priority)
            place = self._place_before(connection, mine, before)
            self._put(connection, mine, before.priority, place)
        self._feed.notify(job.job_id)

    def move_to_front(self, job: JobRecord) -> None:
        """Let a waiting job have its turn first. Raises Refused."""
        with self._store.write(durable=True) as connection:
            mine = _waiting(connection, job)
            priority = queue.top_priority(connection)
            priority = mine.priority if priority is None else priority
            # In front of all whose priority it may have.
            most = self._highest(mine)
            priority = priority if most is None else max(min(priority, most), mine.priority)
            places = [at for at, key, _ in queue.queued(connection, priority) if key != mine.id]
            self._put(connection, mine, priority, places[0] - SPACING if places else None)
        self._feed.notify(job.job_id)

    def move_to_back(self, job: JobRecord) -> None:
        """Let a waiting job have its turn after all of its priority. Raises Refused."""
        with self._store.write(durable=True) as connection:
            mine = _waiting(connection, job)
            places = [at for at, _, _ in queue.queued(connection, mine.priority)]
            # Before whatever is submitted from now on.
            end = queue.last_place(connection) + SPACING
            self._put(connection, mine, mine.priority, max((places[-1] + end) // 2, places[-1] + 1))
        self._feed.notify(job.job_id)

    def _highest(self, job: JobRecord) -> int | None:
        return self._limits.highest_priority(job.user, job.project)

    def _place_before(self, connection: Connection, mine: JobRecord, other: JobRecord) -> int:
        waiting = [row for row in queue.queued(connection, other.priority) if row[1] != mine.id]
        index = next(i for i, row in enumerate(waiting) if row[1] == other.id)
        place = other.arrival
        before = waiting[index - 1][0] if index else place - 2 * SPACING
        if place - before > 1:
            return (before + place) // 2
        # No place is left between the two: those before move down, all of them.
        for number, (at, key, _) in enumerate(waiting[:index]):
            jobs.set_values(connection, key, {"place": at - (index - number) * SPACING})
        moved = [job_id for _, _, job_id in waiting[:index]]
        self._tell(connection, moved, {"what": ["place"]})
        return place - SPACING // 2

    def _put(
        self, connection: Connection, job: JobRecord, priority: int, place: int | None
    ) -> None:
        jobs.set_values(connection, job.id, {"priority": priority, "place": place})
        self._tell(connection, [job.job_id], {"what": ["place"], "priority": priority})

    def _tell(self, connection: Connection, job_ids: Sequence[str], payload: Any) -> None:
        events.append_all(connection, self._clock.now(), "job.edited", job_ids, payload)


def _waiting(connection: Connection, job: JobRecord) -> JobRecord:
    current = jobs.find(connection, job.job_id)
    if current is None:
        raise NotFound(f"There is no job '{job.job_id}' any more.")
    if current.state is not JobState.QUEUED:
        raise Refused(f"Job '{job.job_id}' is {current.state.value}: it does not wait.")
    return current


def _check(values: Mapping[str, str | None], tags: Mapping[str, str]) -> None:
    if len(values.get("name") or "") > _LONGEST_NAME:
        raise InvalidRequest(f"The name is longer than {_LONGEST_NAME} characters.")
    if len(values.get("notes") or "") > _LONGEST_NOTES:
        raise InvalidRequest(f"The notes are longer than {_LONGEST_NOTES} characters.")
    if len(tags) > _MOST_TAGS:
        raise InvalidRequest(f"These are more than {_MOST_TAGS} tags.")


def _key(key: str) -> str:
    if not key.strip():
        raise InvalidRequest("A tag needs a name.")
    return _text(key) or key


def _text(value: str | None) -> str | None:
    """The text as databases can hold it; an empty one is none."""
    return (str(readable(value)).replace("\0", "") or None) if value is not None else None
