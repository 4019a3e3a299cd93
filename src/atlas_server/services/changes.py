"""What changed since somebody looked last, from the event log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atlas_server.store import events, jobs
from atlas_server.store.engine import Store

# Whoever missed more than so many events reads everything anew, which costs less.
_MOST_EVENTS = 2000
_MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class News:
    """Changes up to event `seq`: IDs of jobs, names of projects and of searches.

    `missed` says: too many.
    """

    seq: int
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    missed: bool = False


class Changes:
    """Reads of the event log, for those who watch."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self) -> int:
        """Return the number of the newest event."""
        with self._store.read() as connection:
            return events.last_seq(connection)

    def since(self, seq: int, project: str | None) -> News:
        """Return what changed after event `seq`, in one project or in all."""
        with self._store.read() as connection:
            newest = events.last_seq(connection)
            if newest == seq:
                return News(seq)
            found = events.since(connection, seq, _MOST_EVENTS + 1)
            if newest < seq or len(found) > _MOST_EVENTS:
                return News(newest, missed=True)
            deleted = {
                event.job_id: event.payload.get("project")
                for event in found
                if event.kind == "job.deleted" and event.job_id
            }
            ids = {event.job_id for event in found if event.job_id} - set(deleted)
            place = jobs.projects_of(connection, ids)
        names = [
            str(name)
            for event in found
            if event.kind.startswith("project.")
            for name in (event.payload.get("project"), event.payload.get("was"))
            if name
        ]
        return News(
            newest,
            tuple(sorted(job for job in place if project in (None, place[job]))),
            # Of jobs deleted by older versions the project is not known.
            tuple(
                sorted(
                    job for job in deleted if project in (None, deleted[job]) or not deleted[job]
                )
            ),
            tuple(dict.fromkeys(name for name in names if project in (None, name))),
            tuple(
                dict.fromkeys(
                    str(event.payload["search"])
                    for event in found
                    if event.kind == "search.changed"
                    and project in (None, event.payload["project"])
                )
            ),
        )

    def of_project(self, job_ids: Iterable[str], project: str | None) -> list[str]:
        """Return those of the jobs that are of the project, or all."""
        wanted = sorted(job_ids)
        if project is None or not wanted:
            return wanted
        found: list[str] = []
        with self._store.read() as connection:
            for start in range(0, len(wanted), _MOST_IDS):
                part = wanted[start : start + _MOST_IDS]
                place = jobs.projects_of(connection, part)
                found += [job for job in part if place.get(job) == project]
        return found
