"""submit() and submit_many(): a folder becomes one queued job, or many."""

from __future__ import annotations

import os
import sys

from foundations import config, context
from foundations.client.kept import connection_to, keep
from foundations.client.server import connect
from foundations.contract.request import check_request, parse_memory
from foundations.errors import ConfigError, Unreachable
from foundations.sending import Submission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

    from foundations.client.api import Api
    from foundations.job import Deployment

    _R = TypeVar("_R")

# set_job_resources() of this process: what submit() takes where it is told nothing.
_defaults: Dict[str, Any] = {"num_gpus": None, "ram": None}
_PLACE = (
    "executor", "num_nodes", "partition", "account", "qos", "constraint", "sbatch", "pilot",
    "node_labels", "node_resources",
)  # fmt: skip
# The keywords of submit_many, under the names of job.config.yaml.
_KEYWORDS = (
    "project_name", "entrypoint", "ram", "num_gpus", "command", "num_cpus", "name", "tags", "image",
    "environment", "priority", "timeout", "retries", "worker", "search", *_PLACE,
)  # fmt: skip


def submit(
    scheduler_config: Optional[str] = None,
    job_directory: Optional[str] = None,
    project_name: Optional[str] = None,
    entrypoint: Optional[Union[str, List[str]]] = None,
    params: Optional[Dict[str, Any]] = None,
    ram: Optional[Union[int, float, str]] = None,
    num_gpus: Optional[float] = None,
    stream_job_logs: Optional[bool] = None,
    command: Optional[Union[str, List[str]]] = None,
    *,
    job_dir: Optional[str] = None,
    num_cpus: Optional[float] = None,
    name: Optional[str] = None,
    tags: Optional[Dict[str, str]] = None,
    environment: Optional[Dict[str, str]] = None,
    priority: Optional[int] = None,
    timeout: Optional[Union[float, str]] = None,
    retries: Optional[int] = None,
    image: Optional[str] = None,
    worker: Optional[Dict[str, Any]] = None,
    search: Optional[str] = None,
    **place: Any,
) -> Deployment:
    """Submit a folder as a job and return its handle; the folder is not changed.

    What is None comes from the folder's job.config.yaml, then from the defaults. `command` is
    what follows `python` (or the entrypoint); a string is split as a shell would. `ram` is in
    gigabytes up to 4096, in bytes above, or text such as "8GB"; `timeout` in seconds or text such
    as "2h". `worker` and `image`, which is short for one of its keys, beat the file's worker block
    key by key. Jobs with the same `search` are seen and stopped as one thing; None: those of this
    process. `place` may say executor, num_nodes (how many run the command at once); for Slurm
    partition, account, qos, constraint, sbatch, pilot; for Ray node_labels and node_resources.
    Raises FoundationsError with nothing submitted.
    """
    _check_keywords("submit", place, _PLACE)
    given = {
        "project_name": project_name, "entrypoint": entrypoint, "params": params, "ram": ram,
        "num_gpus": num_gpus, "command": command, "num_cpus": num_cpus, "name": name, "tags": tags,
        "image": image, "environment": environment, "priority": priority, "timeout": timeout,
        "retries": retries, "worker": worker, **place,
    }  # fmt: skip
    submission, scheduler = prepared(scheduler_config, job_directory or job_dir, given)
    submission.spec["search"] = search or _own_search()
    return _submitted(submission, scheduler, stream_job_logs)


def _submitted(
    submission: Submission, scheduler: config.SchedulerConfig, stream_job_logs: Optional[bool]
) -> Deployment:
    job, deployment = sent(scheduler, submission.send)
    if stream_job_logs and not config.streaming_disabled():
        sys.stdout.writelines(line + "\n" for line in deployment(job["job_id"]).stream_job_logs())
    return deployment(job["job_id"])


def submit_many(
    params_list: Sequence[Optional[Dict[str, Any]]],
    *,
    scheduler_config: Optional[str] = None,
    job_directory: Optional[str] = None,
    job_dir: Optional[str] = None,
    **common: Any,
) -> List[Deployment]:
    """Submit a job for each set of parameters, all or none, and return their handles in order.

    The folder is read and sent once, and one request makes all the jobs. `common` takes what
    `submit` takes besides. Raises FoundationsError with nothing submitted, TypeError for a keyword
    that there is not.
    """
    _check_keywords("submit_many", common, _KEYWORDS)
    from foundations.specification import plain_params

    params = [plain_params(each) for each in params_list]
    search = common.pop("search", None)
    submission, scheduler = prepared(scheduler_config, job_directory or job_dir, common)
    submission.spec["search"] = search or _own_search()
    if not params:
        return []
    job_ids, deployment = sent(scheduler, lambda api: submission.send_many(api, params))
    return [deployment(job_id) for job_id in job_ids]


def set_job_resources(
    num_gpus: Optional[float] = None, ram: Optional[Union[int, float, str]] = None
) -> None:
    """Set what jobs that this process submits from now on ask for, where they do not say.

    Raises ValueError for what no job can ask for.
    """
    if num_gpus is not None and (
        isinstance(num_gpus, bool) or not isinstance(num_gpus, (int, float))
    ):
        raise ValueError("num_gpus must be a number, not {!r}.".format(num_gpus))
    try:
        check_request({"num_gpus": num_gpus})
        if ram is not None:
            parse_memory(ram)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    _defaults.update(num_gpus=num_gpus, ram=ram)


def _check_keywords(function: str, given: Dict[str, Any], known: Sequence[str]) -> None:
    for keyword in given:
        if keyword not in known:
            raise TypeError("{}() has no keyword argument {!r}.".format(function, keyword))


def prepared(
    scheduler_config: Optional[str], folder: Optional[str], given: Dict[str, Any]
) -> Tuple[Submission, config.SchedulerConfig]:
    """Return a folder on its way, and the scheduler that it goes to. Raises ConfigError."""
    context.asks_for_others()
    folder = os.path.abspath(folder or os.getcwd())
    scheduler = config.wanted_scheduler(scheduler_config, folder)
    for name, value in _defaults.items():
        if given.get(name) is None:
            given[name] = value
    submission = Submission(folder, given, base=scheduler.worker)
    submission.has_met = (scheduler.url, scheduler.is_local) in _found
    return submission, scheduler


# What the jobs that this process submits have in common, by process: children that were forked are
# another program.
_searches: Dict[int, str] = {}


def _own_search() -> str:
    process = os.getpid()
    if process not in _searches:
        from foundations.ids import new_job_id

        program = os.path.basename(sys.argv[0] if sys.argv else "")
        stem = "".join(
            letter for letter in program.partition(".")[0] if letter.isalnum() or letter in "-_"
        )
        # Notebooks and programs on the command line have no name that anybody knows.
        stem = "" if stem in ("-c", "-m", "ipykernel_launcher") else stem[:60]
        _searches.clear()
        _searches[process] = "{}-{}".format(stem or "session", new_job_id()[:6])
    return _searches[process]


# Where the server of a scheduler was found.
_found: Dict[Tuple[str, bool], str] = {}


def sent(
    scheduler: config.SchedulerConfig, send: Callable[[Api], _R]
) -> Tuple[_R, Callable[[str], Deployment]]:
    """Return what `send` returns, and what makes the handle of a job that it has made.

    A kept connection may lead to a server that has moved since: then it is looked for once more.
    """
    from foundations.job import Deployment

    key = (scheduler.url, scheduler.is_local)
    api = connection_to(_found[key]) if key in _found else None
    if api is not None and api.connection.is_open:
        try:
            sent = send(api)
        except Unreachable:
            api = _connect(scheduler)
            sent = send(api)
    else:
        api = _connect(scheduler)
        sent = send(api)
    url = api.url
    return sent, lambda job_id: Deployment(job_id, url)


def _connect(scheduler: config.SchedulerConfig) -> Api:
    api = connect(scheduler)
    keep(api)
    _found[scheduler.url, scheduler.is_local] = api.url
    return api
