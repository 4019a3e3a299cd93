"""Flags, environment and files: the only reader of configuration in the SDK and the command line.

Flags beat environment variables, which beat job.config.yaml, which beats what is built in.
"""

from __future__ import annotations

import os
import sys

from foundations import network, scheduler_files
from foundations.contract import environment
from foundations.contract.tokens import JOB_TOKEN_FILE
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional

LOCAL_SCHEDULER = "scheduler"
DEFAULT_URL = "http://127.0.0.1:5000"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

# What job.config.yaml may hold: key -> the types that its value may have.
_JOB_KEYS = {
    "project_name": (str,),
    "log_level": (str,),
    "name": (str,),
    "tags": (dict, list),
    "params": (dict,),
    "priority": (int,),
    "timeout": (int, float, str),
    "retries": (int,),
    "install_requirements": (bool,),
    "num_gpus": (int, float),
    "num_cpus": (int, float),
    "num_nodes": (int,),
    "ram": (int, float, str),
    "entrypoint": (str, list),
    "worker": (dict,),
    "executor": (str,),
    "partition": (str,),
    "account": (str,),
    "qos": (str,),
    "constraint": (str,),
    "sbatch": (str, list),
    "pilot": (bool,),
    "node_labels": (dict,),
    "node_resources": (dict,),
}  # type: Dict[str, tuple[type, ...]]
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SchedulerConfig:
    """A submission config: the name of a scheduler and where it is.

    `is_local` means the server of this machine's FOUNDATIONS_HOME, started when it is needed.
    `ca_file` vouches for the server's certificate, `worker` lies below the block of every job.
    """

    __slots__ = ("ca_file", "is_local", "name", "path", "url", "worker")

    def __init__(self, name: str, url: str, path: Optional[str], is_local: bool) -> None:
        self.name = name
        self.url = url
        self.path = path
        self.is_local = is_local
        self.ca_file: Optional[str] = None
        self.worker: Dict[str, Any] = {}


# What set_environment() has chosen: one at most.
_chosen: List[SchedulerConfig] = []


def home() -> str:
    """Return FOUNDATIONS_HOME as an absolute path."""
    found = os.environ.get(environment.HOME) or os.path.join("~", ".foundations")
    return os.path.abspath(os.path.expanduser(found))


def cache_dir(name: str) -> str:
    """Return a folder whose content may be deleted at any time."""
    home_dir = home()
    try:
        # Whatever comes first makes it for its owner alone, for code and logs will lie in it.
        os.makedirs(home_dir, mode=0o700, exist_ok=True)
    except OSError:
        pass  # whoever needs the folder finds out
    return os.path.join(home_dir, "cache", name)


def user() -> str:
    """Return the name that jobs are submitted under."""
    for name in (environment.USER, "LOGNAME", "USER"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        import pwd  # not everywhere

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return "uid-{}".format(os.getuid())


def journal_limit() -> int:
    """Return how many bytes of what a job logs may wait for a server."""
    from foundations.contract.events import JOURNAL_BYTES

    text = os.environ.get(environment.JOURNAL_LIMIT)
    if not text:
        return JOURNAL_BYTES
    from foundations.contract.request import parse_memory
    from foundations.notices import warn

    try:
        return parse_memory(text)
    except ConfigError as error:
        warn("{}: {} The limit is 4GB.".format(environment.JOURNAL_LIMIT, error))
        return JOURNAL_BYTES


def environment_keys() -> List[str]:
    """Return the names, never the values, of the environment variables set here."""
    return sorted(os.environ)


def variables() -> Mapping[str, str]:
    """Return the environment for a program that is started from here."""
    return os.environ


def environment_value(name: str) -> Optional[str]:
    """Return the value of an environment variable that the user names."""
    return os.environ.get(name)


def parent_job() -> Optional[str]:
    """Return the ID of the job that this process runs in, if any."""
    return os.environ.get(environment.JOB_ID) if environment.ATTEMPT_DIR in os.environ else None


def own_project(folder: str) -> Optional[str]:
    """Return the project of the job that this process is, for jobs of its own folder; else None.

    What the folder of a job is called means nothing.
    """
    if environment.ATTEMPT_DIR not in os.environ or folder != os.getcwd():
        return None
    return os.environ.get(environment.PROJECT_NAME)


def job_socket() -> Optional[str]:
    """Return the socket on which this process's job reaches its server, if it has one."""
    attempt_dir = os.environ.get(environment.ATTEMPT_DIR)
    path = os.path.join(attempt_dir, environment.API_SOCKET) if attempt_dir else ""
    return path if path and os.path.exists(path) else None


def token(url: str) -> Optional[str]:
    """Return what shows the server at `url` who we are, None where there is nothing.

    In a job that is the job's own token on its own way to the server; elsewhere FOUNDATIONS_TOKEN,
    else what `foundations login` has kept for this server. Raises ConfigError.
    """
    if url.startswith("unix://") and url[len("unix://") :] == job_socket():
        return _job_token()
    named = os.environ.get(environment.TOKEN)
    if named:
        return named
    from foundations import credentials

    return credentials.find(home(), url)


def _job_token() -> Optional[str]:
    path = os.path.join(os.environ.get(environment.ATTEMPT_DIR, ""), JOB_TOKEN_FILE)
    try:
        with open(path) as file:
            return file.read().strip() or None
    except OSError:
        return None  # a runner of an older version gives none


def streaming_disabled() -> bool:
    """Whether DISABLE_LOG_STREAMING turns the streaming of logs off."""
    return os.environ.get("DISABLE_LOG_STREAMING", "False") != "False"


def interpreter() -> Optional[str]:
    """Return the Python that runs this program."""
    return sys.executable or None


def server_state(home_dir: str) -> Optional[Dict[str, Any]]:
    """Return what the running server of a home has written of itself; None: no sign of one."""
    from foundations.yaml_files import read_json

    try:
        return read_json(os.path.join(home_dir, "run", "server.json"))
    except (OSError, ValueError):
        return None


def scheduler(name: str, job_dir: Optional[str] = None) -> SchedulerConfig:
    """Return the submission config NAME.config.yaml of the job's folder or of the home.

    `scheduler` needs no file: it is this machine. Raises ConfigError.
    """
    path = _scheduler_file(name, job_dir)
    if path is not None:
        return _scheduler_from(name, path)
    if name == LOCAL_SCHEDULER:
        return SchedulerConfig(name, DEFAULT_URL, None, True)
    known = [config.name for config in schedulers()]
    raise ConfigError(
        "There is no scheduler '{}'.{}".format(name, _nearest(name, known)),
        "Known: {}. Add others: foundations config add NAME URL".format(", ".join(known)),
    )


def is_scheduler(name: str, job_dir: Optional[str] = None) -> bool:
    """Whether `scheduler` knows the name, if only to say that its file is wrong."""
    return name == LOCAL_SCHEDULER or _scheduler_file(name, job_dir) is not None


def _scheduler_file(name: str, job_dir: Optional[str]) -> Optional[str]:
    for place in [job_dir, home()] if job_dir else [home()]:
        path = os.path.join(place, "config", "submission", name + scheduler_files.SUFFIX)
        if os.path.isfile(path):
            return path
    return None


def set_environment(environment_name: str) -> None:
    """Make a submission config the one that this program uses where it names none.

    Raises ValueError for one that does not exist.
    """
    try:
        _chosen[:] = [scheduler(environment_name, os.getcwd())]
    except ConfigError as error:
        raise ValueError(str(error)) from error


def wanted_scheduler(name: Optional[str], job_dir: Optional[str] = None) -> SchedulerConfig:
    """Return the submission config `name` or, without one, the one to use then."""
    if not name and _chosen:
        return _chosen[0]
    return scheduler(name or default_scheduler(), job_dir)


def default_scheduler() -> str:
    """Return the name of the submission config that is used where none is named."""
    return os.environ.get("FOUNDATIONS_SCHEDULER") or LOCAL_SCHEDULER


def schedulers() -> List[SchedulerConfig]:
    """Return every submission config of the home; this machine is always among them."""
    folder = os.path.join(home(), "config", "submission")
    found = {LOCAL_SCHEDULER: SchedulerConfig(LOCAL_SCHEDULER, DEFAULT_URL, None, True)}
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if file.endswith(scheduler_files.SUFFIX):
            name = file[: -len(scheduler_files.SUFFIX)]
            found[name] = _scheduler_from(name, os.path.join(folder, file))
    return list(found.values())


def _scheduler_from(name: str, path: str) -> SchedulerConfig:
    said = scheduler_files.checked(path, load_yaml(path))
    url = said["url"]
    host = url.partition("://")[2].partition("/")[0]
    loopback = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
    found = SchedulerConfig(name, url, path, name == LOCAL_SCHEDULER and loopback)
    found.ca_file, found.worker = said["ca_file"], said["worker"]
    network.believe(url, found.ca_file)
    return found


def job_config(job_dir: str) -> Dict[str, Any]:
    """Return the checked content of a folder's job.config.yaml, {} where there is none.

    Raises ConfigError naming the key that is unknown or has a value of the wrong type.
    """
    path = os.path.join(job_dir, environment.CONFIG_FILE)
    if not os.path.exists(path):
        return {}
    values = load_yaml(path)
    for key, value in values.items():
        if key not in _JOB_KEYS:
            raise ConfigError(
                "{}: unknown key '{}'.{}".format(path, key, _nearest(key, _JOB_KEYS)),
                "Known: {}.".format(", ".join(sorted(_JOB_KEYS))),
            )
        if value is not None:
            _check_type(path, key, value, _JOB_KEYS[key])
    if values.get("worker"):
        _check_worker(path, values["worker"])
    level = values.get("log_level")
    if level is not None and level.upper() not in LOG_LEVELS:
        raise ConfigError(
            "{}: log_level cannot be '{}'.".format(path, level),
            "Use {}.".format(", ".join(LOG_LEVELS)),
        )
    return {key: value for key, value in values.items() if value is not None}


def _check_worker(path: str, block: Dict[str, Any]) -> None:
    from foundations.contract.worker import read_worker  # most folders have no such block

    try:
        read_worker(block)
    except ConfigError as error:
        raise ConfigError("{}: {}".format(path, error.message), error.hint) from None


def load_yaml(path: str) -> Dict[str, Any]:
    """Return the mapping that a YAML file holds. Raises ConfigError."""
    from foundations import yaml_files

    # In a job whose interpreter lacks a parser there is the server's.
    return yaml_files.load(path, cache_dir("yaml"), os.path.join(home(), "run", "sdk-vendor"))


def _check_type(path: str, key: str, value: Any, types: tuple[type, ...]) -> None:
    is_bool = isinstance(value, bool)
    if isinstance(value, types) and (not is_bool or bool in types):
        return
    words = {
        str: "text",
        int: "a whole number",
        float: "a number",
        dict: "a mapping",
        list: "a list",
        bool: "true or false",
    }
    wanted = " or ".join(words[kind] for kind in types)
    raise ConfigError("{}: {} must be {}, not {!r}.".format(path, key, wanted, value))


def _nearest(word: object, known: Iterable[str]) -> str:
    from foundations.contract.request import suggestion

    return suggestion(word, known)
