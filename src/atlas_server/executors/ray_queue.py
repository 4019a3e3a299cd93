"""Ray's jobs, as its API shows them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from atlas_server.domain.ports import Handle
from atlas_server.domain.resources import Node
from atlas_server.executor_settings import RaySettings
from atlas_server.executors.engine import EngineAway, EngineRefused
from atlas_server.executors.ray_answers import (
    PENDING,
    RUNNING,
    START_TIMEOUT,
    WITHDRAWN,
    Machine,
    Row,
    grouped,
    machines,
    row,
    to_come,
)
from atlas_server.executors.ray_api import NotThere, RayApi
from atlas_server.executors.ray_submission import RayJob

log = logging.getLogger(__name__)

_MOST_NODES = 10_000
# Ray lists every job that it ever had: ours are taken off its list an hour after their end.
_KEPT = 3600.0
_DELETED_AT_ONCE = 50


class RayQueue:
    """The jobs whose names begin with `prefix`: an Engine. `now` gives seconds since the epoch."""

    name = "Ray"

    def __init__(
        self, settings: RaySettings, api: RayApi, prefix: str, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._api = api
        self._prefix = prefix
        self._now = now
        self._machines: dict[str, Machine] = {}
        # What waits in Ray, and what was to end there: Ray gives up the one after a quarter of an
        # hour, and never lets go of the other.
        self._pending: dict[Handle, RayJob] = {}
        self._withdrawn: set[Handle] = set()
        # The nodes of jobs for several.
        self._groups: dict[Handle, tuple[str, ...]] = {}

    def submit(self, orders: Sequence[RayJob], *, doubtful: bool) -> dict[Handle, Row]:
        """Submit the first; where it has been before, Ray says so."""
        del doubtful
        return {orders[0].handle: self._submit(orders[0])}

    def _submit(self, order: RayJob) -> Row:
        try:
            self._api.ask("POST", "/api/jobs/", order.body)
        except NotThere as missing:
            raise EngineAway(f"{self._settings.address} has no jobs API: {missing}") from missing
        except EngineRefused as refusal:
            if "already exists" not in str(refusal):
                raise
        self._pending[order.handle] = order
        return Row(order.handle)

    def look(self, expected: set[Handle]) -> dict[Handle, Row]:
        """List the jobs."""
        told = self._ask("/api/jobs/")
        every = [row(each) for each in told if each.get("submission_id")]
        found = {each.name: each for each in every if each.name.startswith(self._prefix)}
        for handle, each in found.items():
            if each.state != PENDING and each.error != START_TIMEOUT:
                self._pending.pop(handle, None)
            if handle in self._withdrawn and each.is_pending:
                found[handle] = replace(each, state=WITHDRAWN)
            elif each.error == START_TIMEOUT and handle in self._pending:
                found[handle] = self._again(each)
        self._find_groups(found)
        running = [each for each in found.values() if each.state == RUNNING]
        if not {at for each in running for at in each.places} <= self._machines.keys():
            self.nodes()
        self._clean_up(found, expected)
        return found

    def _find_groups(self, found: dict[Handle, Row]) -> None:
        """Look up where jobs for several nodes are, until it is known."""
        several = {name for name, each in found.items() if each.nodes > 1 and not each.is_pending}
        unknown = {name for name in several if found[name].state == RUNNING} - self._groups.keys()
        if unknown:
            told = self._ask(f"/api/v0/placement_groups?limit={_MOST_NODES}&detail=true")
            if told.get("result"):
                self._groups |= grouped(told["data"]["result"]["result"])
        self._groups = {name: at for name, at in self._groups.items() if name in several}
        for name, (first, *others) in self._groups.items():
            found[name] = replace(found[name], node=first, others=tuple(others))

    def nodes(self) -> tuple[Node, ...]:
        """List the nodes, and those that may be added."""
        told = self._ask(f"/api/v0/nodes?limit={_MOST_NODES}&detail=true")
        if not told.get("result"):
            raise EngineAway(f"Ray does not list its nodes: {told.get('msg')}")
        said = told["data"]["result"]["result"]
        found = machines(said, self._settings.name, self._now())
        self._machines = {each.number: each for each in found}
        there = [each.node for each in found]
        return (*there, *to_come(self._settings.autoscaling, there, self._settings.name))

    def machine(self, node: str) -> Machine | None:
        """Return the node that we call so."""
        return next((each for each in self._machines.values() if each.node.name == node), None)

    def name_of(self, number: str | None) -> str | None:
        """Return what we call a node of Ray's."""
        found = self._machines.get(number or "")
        return found.node.name if found is not None else None

    def tell_to_end(self, entry: Row) -> None:
        """Have Ray tell the runner; what waits is not waited for."""
        try:
            self._api.ask("POST", f"/api/jobs/{entry.name}/stop")
            if row(self._api.ask("GET", f"/api/jobs/{entry.name}")).is_pending:
                self._withdrawn.add(entry.name)
                self._pending.pop(entry.name, None)
        except NotThere:
            pass  # nothing is to be ended

    def cancel(self, entry: Row) -> None:
        """Have Ray tell the runner once more: nothing else reaches it."""
        self.tell_to_end(entry)

    def _ask(self, path: str) -> Any:
        try:
            return self._api.ask("GET", path)
        except (EngineRefused, NotThere) as refusal:
            raise EngineAway(str(refusal)) from refusal

    def _again(self, given_up: Row) -> Row:
        """Hand in once more what Ray has let wait for too long: there may be a place later."""
        try:
            self._api.ask("DELETE", f"/api/jobs/{given_up.name}")
            return self._submit(self._pending[given_up.name])
        except (EngineRefused, NotThere) as trouble:
            log.warning("%s could not be submitted again: %s", given_up.name, trouble)
            return given_up

    def _clean_up(self, found: dict[Handle, Row], expected: set[Handle]) -> None:
        self._withdrawn &= found.keys()
        old = self._now() - _KEPT
        over = [
            each.name
            for each in found.values()
            if each.ended is not None and each.ended < old and each.name not in expected
        ]
        for name in over[:_DELETED_AT_ONCE]:
            try:
                self._api.ask("DELETE", f"/api/jobs/{name}")
            except (EngineRefused, NotThere) as trouble:
                log.info("%s stays on Ray's list: %s", name, trouble)
