"""Searches: started, stopped, resumed, extended."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from atlas_server.archive.bundles import Bundles
from atlas_server.domain.ports import Clock
from atlas_server.domain.search.definition import (
    Budget,
    Definition,
    read_budget,
    read_concurrency,
    read_definition,
)
from atlas_server.domain.search.ports import Studies
from atlas_server.domain.search.records import SearchRecord, SearchState
from atlas_server.services.feed import Feed
from atlas_server.services.jobs import Jobs
from atlas_server.services.specs import check_text, checked_id, split_secrets
from atlas_server.services.trials import announce
from atlas_server.store import projects, searches
from atlas_server.store.engine import Store
from foundations.contract.codec import plain
from foundations.contract.spec import JobSpec
from foundations.contract.states import StateReason
from foundations.errors import InvalidRequest, NotFound, Refused

_NAME = re.compile(r"[^\W_][\w.\-]{0,99}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search to start: the job that its trials are, and the search itself as people write it."""

    spec: JobSpec
    search: Mapping[str, Any]
    search_id: str
    name: str | None = None
    stem: str = "search"


class Searches:
    """Use cases that change searches. `wake` has the thread that runs them look."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        bundles: Bundles,
        jobs: Jobs,
        clock: Clock,
        studies: Studies,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._feed = feed
        self._bundles = bundles
        self._jobs = jobs
        self._clock = clock
        self._studies = studies
        self._wake = wake

    def check(self, wanted: Wanted) -> tuple[JobSpec, Definition]:
        """Return what would be started. Raises InvalidRequest or Refused."""
        if wanted.name is not None and not _NAME.fullmatch(wanted.name):
            raise InvalidRequest(
                f"{wanted.name!r} cannot be the name of a search.",
                "Letters, digits, '.', '-' and '_', beginning with a letter or digit.",
            )
        check_text("search", dict(wanted.search))
        if wanted.spec.params:
            raise InvalidRequest(
                "params: a search's parameters stand under parameters.",
                "What is the same in every trial is written there as it is.",
            )
        seed = int(checked_id(wanted.search_id)[:8], 16)
        definition = read_definition(wanted.search, seed)
        spec = self._jobs.check(wanted.spec)
        try:
            self._studies(definition, ()).ask(0)
        except ValueError as error:
            raise InvalidRequest(f"sampler: {error}") from error
        return spec, definition

    def start(self, wanted: Wanted) -> SearchRecord:
        """Start a search; when this returns it survives a power cut. Sent twice it is one search.

        Raises InvalidRequest, Refused, BlobsMissing or StorageFull; nothing is started then.
        """
        spec, definition = self.check(wanted)
        shown, secrets = split_secrets(spec)
        with self._bundles.in_use(spec.bundle), self._store.write(durable=True) as connection:
            known = searches.by_id(connection, wanted.search_id)
            if known is not None:
                return known
            now = self._clock.now()
            row = {
                "search_id": wanted.search_id,
                "name": _name_of(connection, wanted),
                "project_id": projects.ensure(connection, spec.project, now),
                "user": spec.user or "unknown",
                "state": SearchState.RUNNING.value,
                "definition": _written(wanted.search, definition),
                "spec": plain(shown),
                "secrets": secrets or None,
                "bundle": spec.bundle,
                "created_at": now,
                "active_since": now,
                "spent": 0.0,
            }
            search = searches.by_key(connection, searches.add(connection, row))
            assert search is not None
            announce(connection, search, now)
        self._changed()
        return search

    def stop(self, name: str, *, running: bool = True) -> str:
        """Begin no more trials of a search, and stop those that run unless told otherwise.

        A loop's jobs are stopped. Returns the name. Raises NotFound, or Refused where it is over.
        """
        with self._store.write(durable=True) as connection:
            search = searches.find(connection, name)
            unfinished = searches.unfinished_jobs(connection, name)
            if search is None and searches.loop(connection, name) is None:
                raise no_search(connection, name)
            if search is not None and search.state.is_final and not unfinished:
                raise Refused(f"Search '{name}' is over already: {search.state.value}.")
            if search is not None and not search.state.is_final:
                values = {"state": SearchState.STOPPING.value, "message": "Stopped by its user."}
                searches.set_values(connection, search.id, values)
                announce(connection, search, self._clock.now())
        self._changed()
        if running and unfinished:
            reason = StateReason.STOP_REQUESTED if search is None else StateReason.SEARCH_OVER
            self._jobs.stop_all(unfinished, reason)
        return name

    def resume(self, name: str) -> str:
        """Let a search go on that was stopped, or has failed. Raises NotFound or Refused."""
        return self._go_on(name, {})

    def extend(self, name: str, more: Mapping[str, Any]) -> str:
        """Add to the budget of a search, or change its concurrency; one that is over goes on.

        `more` has trials, time (seconds) and gpu_hours to be added, and concurrency. Raises
        NotFound, InvalidRequest or Refused.
        """
        if not more:
            raise InvalidRequest("Say what to add: trials, time or gpu_hours; or a concurrency.")
        return self._go_on(name, more)

    def _go_on(self, name: str, more: Mapping[str, Any]) -> str:
        added = {key: value for key, value in more.items() if key != "concurrency"}
        budget, concurrency = read_budget(added), read_concurrency(more.get("concurrency"))
        with self._store.write(durable=True) as connection:
            search = self._existing(connection, name)
            if not more and search.state is SearchState.RUNNING:
                raise Refused(f"Search '{name}' goes on already.")
            now = self._clock.now()
            definition = dict(search.definition)
            if added:
                old = read_definition(definition).budget
                definition["budget"] = _sum(old, budget)
            if concurrency is not None:
                definition["concurrency"] = concurrency
            values: dict[str, Any] = {"definition": definition}
            if added or not more:
                values |= {
                    "state": SearchState.RUNNING.value, "message": None, "finished_at": None,
                    "active_since": now, "spent": search.seconds(now),
                }  # fmt: skip
                self._check_budget(connection, search, definition)
            searches.set_values(connection, search.id, values)
            announce(connection, search, now)
        self._changed()
        return name

    def _check_budget(
        self, connection: Connection, search: SearchRecord, definition: dict[str, Any]
    ) -> None:
        budget = read_definition(definition).budget
        begun = len(searches.trials_of(connection, search.id))
        spent = budget.seconds is not None and search.seconds(self._clock.now()) >= budget.seconds
        if spent or (budget.trials is not None and begun >= budget.trials):
            raise Refused(
                f"The budget of search '{search.name}' is spent.",
                f"Add to it: foundations search extend {search.name} --trials 20",
            )

    def _existing(self, connection: Connection, name: str) -> SearchRecord:
        search = searches.find(connection, name)
        if search is None:
            raise no_search(connection, name)
        return search

    def _changed(self) -> None:
        self._wake()
        self._feed.announce()


def no_search(connection: Connection, name: str) -> NotFound | Refused:
    """Return the error of whoever asks for a search that there is not."""
    if searches.loop(connection, name) is not None:
        return Refused(
            f"'{name}' is no search, but jobs that a program submitted.",
            "They can be listed, compared and stopped together.",
        )
    return NotFound(
        f"There is no search '{name}'.", "See the searches with: foundations search list"
    )


def _name_of(connection: Connection, wanted: Wanted) -> str:
    if wanted.name is not None:
        taken = searches.find(connection, wanted.name) or searches.loop(connection, wanted.name)
        if taken:
            raise Refused(
                f"There is a search '{wanted.name}' already.",
                f"Give it another --name, or add to it: foundations search extend {wanted.name}",
            )
        return wanted.name
    stem = re.sub(r"[^\w.\-]+", "-", wanted.stem).strip("-_.")[:90] or "search"
    taken_names = searches.names_like(connection, stem)
    return next(name for n in range(1, 1 << 30) if (name := f"{stem}-{n}") not in taken_names)


def _written(said: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    """The search as it is kept: with its seed, so that chance goes on where it was."""
    sampler = definition.sampler
    return {**said, "sampler": {"name": sampler.name, **sampler.arguments}}


def _sum(old: Budget, more: Budget) -> dict[str, Any]:
    pairs = {
        "trials": (old.trials, more.trials),
        "time": (old.seconds, more.seconds),
        "gpu_hours": (old.gpu_hours, more.gpu_hours),
    }
    # What had no limit keeps none.
    return {name: one + (other or 0) for name, (one, other) in pairs.items() if one is not None}
