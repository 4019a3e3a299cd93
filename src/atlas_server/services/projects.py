"""Projects: lists of them, what people say about them, their names."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection

from atlas_server.domain.answers.projects import BestValue, Note, Project
from atlas_server.domain.ports import Clock
from atlas_server.domain.query.goals import goal_of
from atlas_server.domain.reports import readable
from atlas_server.domain.rights import Principal
from atlas_server.services.feed import Feed
from atlas_server.services.limits import LimitBook
from atlas_server.services.specs import check_project
from atlas_server.store import catalogue, events, jobs, projects, retention
from atlas_server.store.engine import Store
from atlas_server.store.projects import ProjectRecord
from foundations.errors import Forbidden, InvalidRequest, Refused

_LONGEST = 200_000
# The best of very many jobs is not looked for again at once.
_KEPT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Best:
    version: Hashable
    since: float
    asked: tuple[str, str]
    value: BestValue | None


class Projects:
    """Use cases of projects, but for deleting them."""

    def __init__(self, store: Store, feed: Feed, clock: Clock, limits: LimitBook) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._limits = limits
        self._best: dict[int, _Best] = {}

    def listing(self, archived: bool | None = False) -> list[Project]:
        """Return the projects that are not archived, those that are, or all (None), by name."""
        version = self._store.version
        with self._store.read() as connection:
            return [
                self._told(connection, record, version)
                for record in projects.listing(connection, archived=archived)
            ]

    def project(self, name: str) -> Project:
        """Return one project. Raises NotFound."""
        version = self._store.version
        with self._store.read() as connection:
            projects.find(connection, name)
            return self._told(connection, projects.listing(connection, name=name)[0], version)

    def change(self, name: str, values: Mapping[str, Any]) -> Project:
        """Rename, archive, describe a project. Raises NotFound, InvalidRequest or Refused."""
        new_name = values.get("name", name)
        with self._store.write(durable=True) as connection:
            key = projects.find(connection, name)
            changed = self._changed(connection, name, values)
            projects.set_values(connection, key, changed) if changed else None
            if new_name != name:
                self._limits.follow(connection, name, new_name)
                retention.rename_rules(connection, name, new_name)
            now = self._clock.now()
            payload = {"project": new_name, **({"was": name} if new_name != name else {})}
            events.append(connection, now, "project.changed", None, payload)
        self._feed.announce()
        if new_name != name:
            self._feed.notify("")  # the scheduler looks by whose limits it goes
        return self.project(new_name)

    def notes(self, name: str) -> list[Note]:
        """Return the notes on a project, the newest first. Raises NotFound."""
        with self._store.read() as connection:
            found = projects.notes_of(connection, projects.find(connection, name))
        return cast("list[Note]", found)

    def add_note(self, name: str, author: str, body: str) -> Note:
        """Add a note. Raises NotFound or InvalidRequest."""
        body, author = _body(body), str(readable(author)) or "unknown"
        with self._store.write(durable=True) as connection:
            key = projects.find(connection, name)
            note = projects.add_note(connection, key, author, body, self._clock.now())
            return self._noted(connection, name, key, note)

    def change_note(self, name: str, note: int, body: str) -> Note:
        """Change what a note says. Raises NotFound or InvalidRequest."""
        body = _body(body)
        with self._store.write(durable=True) as connection:
            key = projects.find(connection, name)
            projects.find_note(connection, key, note)
            projects.set_note(connection, note, body, self._clock.now())
            return self._noted(connection, name, key, note)

    def remove_note(self, name: str, note: int) -> None:
        """Delete a note. Raises NotFound."""
        with self._store.write(durable=True) as connection:
            key = projects.find(connection, name)
            projects.find_note(connection, key, note)
            projects.remove_note(connection, note)
            events.append(connection, self._clock.now(), "project.note", None, {"project": name})
        self._feed.announce()

    def check_own(self, who: Principal, name: str) -> None:
        """Raise Forbidden where a project has jobs that are not somebody's to change."""
        if who.rules:
            return
        with self._store.read() as connection:
            projects.find(connection, name)
            other = jobs.other_user_in(connection, name, who.name)
        if other is not None:
            raise Forbidden(
                f"Project '{name}' has jobs of '{other}', too: this is for admins.",
                "Ask an admin to do it.",
            )

    def check_author(self, who: Principal, name: str, note: int) -> None:
        """Raise Forbidden where a note is not somebody's to change. Raises NotFound."""
        if who.rules:
            return
        with self._store.read() as connection:
            found = projects.find_note(connection, projects.find(connection, name), note)
        if not who.may_manage(str(found["author"])):
            raise Forbidden(f"The note is {found['author']}'s: its author and admins change it.")

    def _noted(self, connection: Connection, name: str, key: int, note: int) -> Note:
        events.append(connection, self._clock.now(), "project.note", None, {"project": name})
        self._feed.announce()
        return cast("Note", projects.find_note(connection, key, note))

    def _changed(
        self, connection: Connection, name: str, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        if "name" in values and values["name"] != name:
            check_project(values["name"])
            if projects.is_there(connection, values["name"]):
                raise Refused(f"There is a project '{values['name']}' already.")
            changed["name"] = values["name"]
        if "description" in values:
            changed["description"] = _body(values["description"] or "", empty=True)
        if "archived" in values:
            changed["archived_at"] = self._clock.now() if values["archived"] else None
        if "metric" in values:
            changed["metric"] = values["metric"] or None
        if "goals" in values:
            changed["goals"] = dict(values["goals"] or {}) or None
        return changed

    def _told(self, connection: Connection, record: ProjectRecord, version: Hashable) -> Project:
        goals: Any = record.goals or {}
        return {
            "name": record.name,
            "created_at": record.created_at,
            "archived_at": record.archived_at,
            "description": record.description or "",
            "jobs": record.jobs,
            "last_submitted_at": record.last_submitted_at,
            "last_active_at": record.last_active_at,
            "metric": record.metric,
            "goals": goals,
            "best": self._best_of(connection, record, goals, version),
        }

    def _best_of(
        self,
        connection: Connection,
        record: ProjectRecord,
        goals: Mapping[str, str],
        version: Hashable,
    ) -> BestValue | None:
        metric = record.metric or _commonest(connection, record.name)
        if metric is None:
            return None
        goal = goal_of(metric, goals)
        kept, now = self._best.get(record.id), self._clock.now()
        if kept is not None and kept.asked == (metric, goal):
            if kept.version == version or now - kept.since < _KEPT_SECONDS:
                return kept.value
        found = projects.best(connection, record.id, metric, goal)
        value: BestValue | None = None
        if found is not None:
            value = {"metric": metric, "goal": goal, "value": found[0], "job_id": found[1]}
        self._best[record.id] = _Best(version, now, (metric, goal), value)
        return value


def _commonest(connection: Connection, project: str) -> str | None:
    """The metric that most jobs have a number of."""
    counted = catalogue.of_project(connection, project)
    metrics = [column for column in counted if column.kind == catalogue.METRIC and column.numbers]
    if not metrics:
        return None
    return min(metrics, key=lambda column: (-column.numbers, column.name)).name


def _body(text: str, *, empty: bool = False) -> str:
    if len(text) > _LONGEST:
        raise InvalidRequest(f"The text is longer than {_LONGEST:,} characters.")
    if not empty and not text.strip():
        raise InvalidRequest("The note is empty.")
    return str(readable(text)).replace("\0", "")
