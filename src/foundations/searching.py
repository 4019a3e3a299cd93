"""search(): a space of parameters and a folder become a search on the server, and its handle."""

from __future__ import annotations

import os
import re

from foundations import config
from foundations.contract.request import suggestion
from foundations.errors import ConfigError
from foundations.job import Deployment
from foundations.sending import Progress, Submission
from foundations.submission import prepared, sent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar, Union

    from foundations.client.api import Api

    _R = TypeVar("_R")

# What a search's file may say of the search; docs/search.md says what it means.
_OF_SEARCH = (
    "parameters", "metric", "metrics", "goal", "value", "sampler", "pruner", "concurrency",
    "budget", "stop",
)  # fmt: skip
# And of the jobs that its trials are, as in job.config.yaml.
_OF_JOBS = (
    "command", "project_name", "entrypoint", "ram", "num_gpus", "num_cpus", "num_nodes", "tags",
    "environment", "priority", "timeout", "retries", "worker", "image", "install_requirements",
)  # fmt: skip
_OVER = ("completed", "stopped", "failed")
# YAML takes 1e-5 for a text: its numbers have a dot.
_SCIENTIFIC = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


def search(
    space: Union[str, Dict[str, Any]],
    command: Optional[Union[str, List[str]]] = None,
    *,
    job_directory: Optional[str] = None,
    scheduler_config: Optional[str] = None,
    name: Optional[str] = None,
    **settings: Any,
) -> Search:
    """Start a search on the server and return its handle at once.

    `space` is the path of a search's file or a dict of parameters; `settings` are what else such a
    file may say (metric, goal, sampler, pruner, budget, concurrency, stop, num_gpus, ...) and beat
    it. `job_directory` is the folder of the trials' code: the file's own, or the current one.
    Raises FoundationsError with nothing started.
    """
    if isinstance(space, str):
        file, said = os.path.abspath(space), read_file(space)
    else:
        file, said = "", {"parameters": space}
    said = {**said, **{key: value for key, value in settings.items() if value is not None}}
    if command is not None:
        said["command"] = command
    wanted, given, folder = divided(said, file)
    if name is not None:
        wanted["name"] = name
    submission, scheduler = prepared(scheduler_config, job_directory or folder, given)
    row, _ = sent(scheduler, lambda api: submission.send_search(api, wanted))
    return Search(row["name"])


def start(
    path: str,
    scheduler: config.SchedulerConfig,
    given: Dict[str, Any],
    directory: Optional[str],
    connected: Callable[[config.SchedulerConfig], Api],
    progress: Progress,
) -> Tuple[Dict[str, Any], Submission]:
    """Start the search that a file describes, for the command line; return its row.

    `given` beats what the file says; its `name` is the search's.
    """
    said = {**read_file(path), **{k: v for k, v in given.items() if v is not None}}
    wanted, jobs, folder = divided(said, os.path.abspath(path))
    submission = Submission(os.path.abspath(directory or folder), jobs, progress)
    return submission.send_search(connected(scheduler), wanted), submission


def read_file(path: str) -> Dict[str, Any]:
    """Return what a search's file says. Raises ConfigError."""
    if os.path.isdir(path):
        raise ConfigError(
            "{} is a folder.".format(path), "Name the file that describes the search."
        )
    values: Dict[str, Any] = _numbers(config.load_yaml(path))
    return values


def divided(said: Dict[str, Any], file: str) -> Tuple[Dict[str, Any], Dict[str, Any], str]:
    """Return what is said of the search, what of its jobs, and the folder. Raises ConfigError."""
    known = (*_OF_SEARCH, *_OF_JOBS, "name", "directory")
    for key in said:
        if key not in known:
            place = file + ": " if file else ""
            raise ConfigError(
                "{}unknown key '{}'.{}".format(place, key, suggestion(key, known)),
                "Known: {}.".format(", ".join(known)),
            )
    own = os.path.dirname(file) if file else os.getcwd()
    folder = os.path.join(own, str(said.get("directory") or ""))
    stem = os.path.basename(file).partition(".")[0] if file else os.path.basename(own)
    wanted = {
        "search": {key: _plain(said[key]) for key in _OF_SEARCH if said.get(key) is not None},
        "stem": stem or "search",
    }
    if said.get("name") is not None:
        wanted["name"] = str(said["name"])
    jobs = {key: said[key] for key in _OF_JOBS if said.get(key) is not None}
    return wanted, jobs, os.path.normpath(folder)


class Search:
    """A search on the server, by its name; also one that was started elsewhere."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return "Search({!r})".format(self.name)

    def status(self) -> Dict[str, Any]:
        """Return its state, counts of trials, budget, what is spent, and the best trial."""
        return self._ask(lambda api: api.search(self.name, "/row"))

    def trials(self) -> List[Dict[str, Any]]:
        """Return every trial: number, job_id, state, params, values, times."""
        return self._ask(lambda api: api.search(self.name, "/trials"))["trials"]

    def best(self) -> Optional[Dict[str, Any]]:
        """Return the best completed trial, None where there is none yet.

        Raises ValueError with several metrics: there is no one best, see `front`.
        """
        row = self.status()
        if len(row["objectives"]) != 1:
            raise ValueError("Search '{}' has several metrics: see front().".format(self.name))
        return row["best"]

    def front(self) -> List[Dict[str, Any]]:
        """Return the completed trials that no other beats in all metrics."""
        return self._ask(lambda api: api.search(self.name))["front"]

    def best_job(self) -> Optional[Deployment]:
        """Return the handle of the best trial's job."""
        best = self.best()
        return Deployment(best["job_id"]) if best else None

    def wait(self, timeout: Optional[float] = None) -> Dict[str, Any]:
        """Wait until the search is over and return its status. Raises TimeoutError (seconds)."""
        if self.status()["state"] not in _OVER:
            for _ in self.changes(timeout):
                pass
        return self.status()

    def changes(self, timeout: Optional[float] = None) -> Iterator[Dict[str, Any]]:
        """Yield the status at every change until the search is over. Raises TimeoutError."""
        from foundations.client.follow import follow_search

        api = self._ask(lambda kept: kept)
        return follow_search(api.url, self.name, timeout)

    def stop(self, running: bool = True) -> None:
        """Begin no more trials, and stop those that run unless `running` is False."""
        self._change("stop", {"running": running})

    def resume(self) -> None:
        """Let a stopped search go on. Raises Refused."""
        self._change("resume", {})

    def extend(self, **more: Any) -> None:
        """Add `trials`, `time` or `gpu_hours` to the budget, or set `concurrency`."""
        self._change("extend", more)

    def _change(self, deed: str, how: Dict[str, Any]) -> None:
        self._ask(lambda api: api.change_search(self.name, deed, how))

    def _ask(self, question: Callable[[Api], _R]) -> _R:
        answer, _ = sent(config.wanted_scheduler(None), question)
        return answer


def _numbers(value: Any) -> Any:
    """The same with texts that YAML has made of numbers such as 1e-5 made numbers again."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and _SCIENTIFIC.fullmatch(value):
        return float(value)
    return value


def _plain(value: Any) -> Any:
    """What is said in Python as JSON can hold it."""
    from foundations.specification import plain_params

    return (plain_params({"value": value}) or {})["value"]
