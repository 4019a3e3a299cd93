"""submit(): a folder and a spec become a queued job."""

from __future__ import annotations

import json
import os
import sys
from _thread import get_ident

from foundations import config
from foundations.bundle.scan import hash_listing, list_folder, read_verified
from foundations.client.api import Api
from foundations.client.server import connect
from foundations.contract.request import check_request, parse_duration, parse_memory, words
from foundations.errors import BlobsMissing, ConfigError, ServerError
from foundations.notices import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

    from foundations.bundle.hashing import Bundle
    from foundations.bundle.scan import Listing
    from foundations.job import Deployment

# set_job_resources() of this process: what submit() takes where it is told nothing.
_defaults: Dict[str, Any] = {"num_gpus": None, "ram": None}
_connections: Dict[Tuple[int, int, str, bool], Api] = {}
# Bytes of a folder that takes long enough to read to ask first.
_LARGE = 10_000_000


class Progress:
    """What happens while a job is submitted; the command line prints all of it."""

    def started(self) -> None:
        """Begins."""

    def remark(self, text: str) -> None:
        """Something that the submitter should know."""
        warn(text)

    def preparing(self, folder: str) -> None:
        """The folder is about to be looked at."""

    def sized(self, listing: Listing) -> None:
        """The folder's size is known."""

    def reading(self, done: int, total: int) -> None:
        """Bytes read of those that have to be read."""

    def sending(self, done: int, total: int) -> None:
        """Bytes sent of those that the server lacks."""

    def submitted(self, job: Dict[str, Any]) -> None:
        """The job is durable."""


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
) -> Deployment:
    """Submit a folder as a job and return its handle; the folder is not changed.

    What is None comes from the folder's job.config.yaml, then from the defaults. `command` is
    what follows `python` (or the entrypoint); a string is split as a shell would. `ram` is in
    gigabytes up to 4096, in bytes above, or text such as "8GB"; `timeout` in seconds or text such
    as "2h". `worker` and `image`, which is short for one of its keys, beat the file's worker block
    key by key. Raises FoundationsError with nothing submitted.
    """
    from foundations.job import Deployment

    folder = os.path.abspath(job_directory or job_dir or os.getcwd())
    scheduler = config.wanted_scheduler(scheduler_config, folder)
    given = {
        "project_name": project_name, "entrypoint": entrypoint, "params": params,
        "ram": _defaults["ram"] if ram is None else ram,
        "num_gpus": _defaults["num_gpus"] if num_gpus is None else num_gpus,
        "command": command, "num_cpus": num_cpus, "name": name, "tags": tags, "image": image,
        "environment": environment, "priority": priority, "timeout": timeout, "retries": retries,
        "worker": worker,
    }  # fmt: skip
    submission = Submission(folder, given)
    api = _connection(scheduler)
    job = submission.send(api)
    deployment = Deployment(job["job_id"], api.url)
    if stream_job_logs and not config.streaming_disabled():
        sys.stdout.writelines(line + "\n" for line in deployment.stream_job_logs())
    return deployment


def _connection(scheduler: config.SchedulerConfig) -> Api:
    """Return this thread's connection to the scheduler, kept open between submissions."""
    key = (os.getpid(), get_ident(), scheduler.url, scheduler.is_local)
    api = _connections.get(key)
    if api is None or not api.connection.is_open:
        _connections.clear()
        api = _connections[key] = connect(scheduler)
    return api


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


class Submission:
    """One folder on its way to becoming a job.

    `given` holds what flags or keyword arguments say, under the names of job.config.yaml, and
    besides `command`, `environment`, `image`. None: not said.
    """

    def __init__(
        self, folder: str, given: Dict[str, Any], progress: Optional[Progress] = None
    ) -> None:
        self._folder = folder
        self._progress = progress or Progress()
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise ConfigError(
                "{} is a file, not a folder.".format(folder),
                "Give the folder, and name the script as the command.",
            )
        if not os.path.isdir(folder):
            raise ConfigError("The job's folder '{}' does not exist.".format(folder))
        file = config.job_config(folder)
        said = {key: value for key, value in given.items() if value is not None}
        check_request({**file, **said})
        worker = _worker(file.get("worker") or {}, said)
        self._remarks = worker.remarks
        self.spec = _spec(folder, {**file, **said}, worker)

    def bundle(self, api: Optional[Api] = None) -> Bundle:
        """Read the folder and put its bundle into the spec. Raises BundleError.

        Before a large folder is read, the server behind `api` is asked whether it takes such a job.
        """
        from foundations.bundle.git import GitLook

        git = GitLook(self._folder, config.variables())
        self._progress.preparing(self._folder)
        listing = list_folder(self._folder)
        self._progress.sized(listing)
        if api is not None and listing.total_size > _LARGE:
            try:
                api.check(self.spec)
            except ServerError:
                git.result()  # nothing may be left running
                raise
        bundle = hash_listing(listing, config.cache_dir("hashes"), self._progress.reading)
        self.spec["bundle"] = bundle.digest
        self.spec["origin"]["git"] = git.result()
        return bundle

    def send(self, api: Api) -> Dict[str, Any]:
        """Submit the job and return its listing row; what the server lacks is sent first."""
        self._progress.started()
        for remark in self._remarks:
            self._progress.remark(remark)
        bundle = self.bundle(api)
        job = self._create(api, bundle, new_job_id())
        self._progress.submitted(job)
        return job

    def _create(self, api: Api, bundle: Bundle, job_id: str, tries: int = 3) -> Dict[str, Any]:
        try:
            return api.submit(self.spec, job_id)
        except BlobsMissing:
            # Seldom twice: somebody deleted a job whose files were ours too.
            if tries == 1:
                raise
            self._send_content(api, bundle)
            return self._create(api, bundle, job_id, tries - 1)

    def _send_content(self, api: Api, bundle: Bundle) -> None:
        _, missing = api.send_manifest(bundle.manifest)
        if missing:
            api.send_blobs(self._pack(bundle, missing))

    def _pack(self, bundle: Bundle, missing: List[str]) -> Iterator[bytes]:
        total = sum(bundle.size_of(digest) for digest in missing)
        done = 0
        held = []  # type: List[bytes]
        held_size = 0
        for digest in missing:
            size = bundle.size_of(digest)
            held.append("{}{:016x}".format(digest, size).encode())
            for chunk in read_verified(bundle.path_of(digest), digest, size):
                held.append(chunk)
                held_size += len(chunk)
                done += len(chunk)
                if held_size >= 1 << 18:
                    yield b"".join(held)
                    held, held_size = [], 0
                    self._progress.sending(done, total)
        yield b"".join(held)
        self._progress.sending(done, total)


def new_job_id() -> str:
    """Return a random UUID (version 4)."""
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class _NoWorker:
    """What there is to know of an empty worker block: reading others loads modules."""

    command = entrypoint = memory = cpus = gpus = None

    def __init__(self) -> None:
        self.options = {}  # type: Dict[str, Any]
        self.environment = {}  # type: Dict[str, str]
        self.remarks = []  # type: List[str]


def _worker(file: Dict[str, Any], said: Dict[str, Any]) -> Any:
    """Return the worker block that the file and whoever submits write together, read."""
    more = said.get("worker") or {}
    if not isinstance(more, dict):
        raise ConfigError("worker must be a mapping, as in job.config.yaml, not {!r}.".format(more))
    if "image" in said:
        more = {**more, "image": said["image"]}
    if not file and not more:
        return _NoWorker()
    from foundations.contract.worker import merged, read_worker

    return read_worker(merged(file, more))


def _spec(folder: str, values: Dict[str, Any], worker: Any) -> Dict[str, Any]:
    """Return the JSON form of a JobSpec, without its bundle."""
    command = words("command", values.get("command") or worker.command)
    environment = {**worker.environment, **(values.get("environment") or {})}
    install = values.get("install_requirements")
    return {
        "project": str(values.get("project_name") or os.path.basename(folder) or "default"),
        "bundle": "",
        "command": command,
        "entrypoint": words("entrypoint", values.get("entrypoint") or worker.entrypoint) or None,
        "name": values.get("name"),
        "user": config.user(),
        "params": _params(values.get("params")),
        "tags": _tags(values.get("tags")),
        "environment": {
            str(key): _text("environment", key, value) for key, value in environment.items()
        },
        "resources": _resources(values, worker),
        "priority": values.get("priority", 0),
        "timeout": parse_duration(values["timeout"]) if values.get("timeout") is not None else None,
        "retries": values.get("retries", 0),
        "interpreter": config.interpreter(),
        "install_requirements": install,
        "worker": worker.options,
        "origin": {
            "host": os.uname().nodename,
            "directory": folder,
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "client": _version(),
            "environment_keys": config.environment_keys(),
        },
        "parent": config.parent_job(),
    }


def _resources(values: Dict[str, Any], worker: Any) -> Dict[str, Any]:
    cpus = values.get("num_cpus", worker.cpus)
    ram = values.get("ram")
    found = {
        "cpus": 1.0 if cpus is None else cpus,
        "memory": worker.memory if ram is None else parse_memory(ram),
        "gpus": values.get("num_gpus", worker.gpus or 0),
    }
    if cpus is not None:
        found["cpu_limit"] = cpus  # in a container what was asked for is also the most
    return found


def _version() -> str:
    from foundations._version import __version__

    return __version__


def _params(value: Any) -> Optional[Dict[str, Any]]:
    if not value:
        return None
    if not isinstance(value, dict):
        raise ConfigError("params must be a dict, not {!r}.".format(value))
    try:
        return json.loads(json.dumps(value, default=_plain))
    except TypeError as error:
        raise ConfigError("params must hold what JSON can: {}.".format(error)) from error


def _plain(value: Any) -> Any:
    from foundations.scalars import NotScalar, plain_scalar

    try:
        return plain_scalar(value)
    except NotScalar:
        raise TypeError("{!r} cannot be written as JSON".format(value)) from None


def _tags(value: Any) -> Dict[str, str]:
    if not value:
        return {}
    if isinstance(value, dict):
        return {str(key): _text("tags", key, item) for key, item in value.items()}
    return {str(key): "" for key in value}


def _text(what: str, key: Any, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise ConfigError("{}: the value of {} must be text, not {!r}.".format(what, key, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
