"""Runs searches: one thread that sleeps until a trial ends, logs something, or somebody asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from atlas_server.domain.ports import Clock
from atlas_server.domain.resources import Node
from atlas_server.domain.search.ports import Studies
from atlas_server.domain.search.records import SearchRecord, SearchState
from atlas_server.domain.search.slots import slots
from atlas_server.scheduler.search_run import SearchRun
from atlas_server.services.feed import Feed
from atlas_server.services.leadership import NotLeading
from atlas_server.services.trials import Trials
from foundations.contract.spec import Resources
from foundations.errors import FoundationsError, Unavailable

log = logging.getLogger(__name__)

_LONGEST_SLEEP = 30.0


class Searches:
    """The thread, and the searches that go on."""

    def __init__(
        self,
        trials: Trials,
        feed: Feed,
        studies: Studies,
        clock: Clock,
        nodes: Callable[[], Sequence[Node]],
        leads: Callable[[], bool],
    ) -> None:
        """Searches go on in the one process that `leads`."""
        self._leads = leads
        self._trials = trials
        self._studies = studies
        self._clock = clock
        self._nodes = nodes
        self._runs: dict[int, SearchRun] = {}
        self._seq = 0
        self._lock = threading.Lock()
        self._recorded: set[str] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._endings = [
            feed.listen(None, self._wake.set, moves_only=True),
            feed.watch(self._told),
        ]
        self._thread = threading.Thread(target=self._run, name="searches", daemon=True)

    def start(self) -> None:
        """Take up the searches that go on."""
        self._thread.start()

    def wake(self) -> None:
        """Look at what people have changed."""
        self._wake.set()

    def close(self) -> None:
        """End the thread; trials are left to themselves."""
        self._stopping = True
        for end in self._endings:
            end()
        self._wake.set()
        self._thread.join()

    def _told(self, job_id: str | None) -> None:
        """Note that a job recorded something, where a pruner wants to know."""
        if job_id is not None and any(
            run.is_pruned and run.has(job_id) for run in list(self._runs.values())
        ):
            with self._lock:
                self._recorded.add(job_id)
            self._wake.set()

    def _run(self) -> None:
        loaded = False
        while not self._stopping:
            # Cleared first: a change during the step is seen by the next one.
            self._wake.clear()
            if not self._leads():
                loaded = False
                self._wake.wait(_LONGEST_SLEEP)
                continue
            try:
                if not loaded:
                    self._load()
                    loaded = True
                pause = self._step()
            except (NotLeading, Unavailable) as error:
                log.warning("Searches wait: %s", error.message)
                loaded = False
                pause = 1.0
            except Exception:
                log.exception("Searches met an unexpected error; they go on.")
                pause = 5.0
            self._wake.wait(pause)

    def _load(self) -> None:
        self._runs.clear()
        self._seq, found = self._trials.going_on()
        for search in found:
            self._take_up(search)
        for key, run in list(self._runs.items()):
            jobs = run.everything()
            self._attend(key, run, set(jobs), set(jobs))

    def _step(self) -> float:
        with self._lock:
            recorded, self._recorded = self._recorded, set()
        self._seq, changed, searches = self._trials.changes(self._seq)
        news: set[int] = set()
        for search in searches.values():
            if search is not None:
                news |= self._refresh(search)
        now = self._clock.now()
        for key, run in list(self._runs.items()):
            due = run.due(now)
            concerned = any(run.has(job_id) for job_id in changed | recorded)
            if concerned or key in news or (due is not None and due <= now):
                self._attend(key, run, changed, recorded)
        return self._pause()

    def _refresh(self, search: SearchRecord) -> set[int]:
        run = self._runs.get(search.id)
        if run is None:
            if not search.state.is_final:
                self._take_up(search)
        elif search.state.is_final:
            del self._runs[search.id]
        else:
            run.refresh(search)
        return {search.id}

    def _take_up(self, search: SearchRecord) -> None:
        try:
            self._runs[search.id] = SearchRun(
                search, self._trials, self._studies, self._clock, self._slots
            )
        except (NotLeading, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one search must not hold up the others
            self._fail(search, error)

    def _attend(self, key: int, run: SearchRun, changed: set[str], recorded: set[str]) -> None:
        try:
            if not run.step(changed, recorded):
                self._runs.pop(key, None)
        except (NotLeading, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one search must not hold up the others
            self._runs.pop(key, None)
            self._fail(run.search, error)

    def _fail(self, search: SearchRecord, error: Exception) -> None:
        if isinstance(error, FoundationsError):
            message = str(error)
        else:
            log.error("Search %s met an unexpected error.", search.name, exc_info=error)
            message = f"{type(error).__name__}: {error}"
        self._trials.finish(search, SearchState.FAILED, message)

    def _slots(self, search: SearchRecord) -> int:
        asked = search.spec["resources"]
        resources = Resources(asked["cpus"], asked["memory"], asked["gpus"])
        return slots(resources, self._nodes(), search.spec.get("num_nodes", 1))

    def _pause(self) -> float:
        now = self._clock.now()
        moments = [due for run in self._runs.values() if (due := run.due(now)) is not None]
        return max(0.01, min([now + _LONGEST_SLEEP, *moments]) - now)
