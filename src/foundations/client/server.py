"""Finds the server of a scheduler; starts this machine's own when it is not running."""

from __future__ import annotations

import os
import sys

from foundations import config
from foundations.client.api import Api
from foundations.contract.environment import OF_A_JOB
from foundations.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Set

# Where this machine's own server has been found, which may come back on another port.
_here: Set[str] = set()


def connect(scheduler: config.SchedulerConfig, say: Optional[Callable[[str], None]] = None) -> Api:
    """Return a connection to the scheduler's server.

    In a job, the local scheduler is the one whose job it is. `say` is told when a server has to be
    started. Raises Unreachable or ServerError.
    """
    api = _known(scheduler)
    if api is None:
        if say is not None:
            say("No Atlas server is running on this machine: starting one.")
        url = _start()
        if say is not None:
            say("Atlas server started at {}. It runs until: atlas-server stop".format(url))
        _here.add(url)
        api = Api.of_user(url)
    return api


def find(scheduler: config.SchedulerConfig) -> Api:
    """Return a connection to the scheduler's server, as `connect` does, but start none.

    Raises Unreachable where none runs.
    """
    api = _known(scheduler)
    if api is None:
        raise Unreachable("No Atlas server is running.", "Start it with: atlas-server start")
    return api


def is_remote(url: str) -> bool:
    """Whether a server is another than this machine's own, or that of the job we are in."""
    return url not in _here and not url.startswith("unix:")


def moved(url: str) -> str:
    """Return where a server is now: this machine's own may have come back on another port."""
    if url not in _here:
        return url
    state = config.server_state(config.home())
    if state is None:
        return url
    _here.add(state["url"])
    return str(state["url"])


def _known(scheduler: config.SchedulerConfig) -> Optional[Api]:
    if not scheduler.is_local:
        return Api.of_user(scheduler.url)
    job_socket = config.job_socket()
    if job_socket is not None:
        return Api.of_user("unix://" + job_socket)
    home = config.home()
    state = config.server_state(home)
    # A server that was killed leaves its file; its port may be another program's by now.
    if state is None or not _is_held(home, state.get("name", "server")):
        return None
    _here.add(state["url"])
    api = Api.of_user(state["url"])
    try:
        api.connection.open()
    except Unreachable:
        return None
    return api


def _is_held(home: str, name: str) -> bool:
    """Whether a living process of this name has its lock in this home."""
    from foundations.locks import is_locked  # only on the machine of the server

    file = "server.lock" if name == "server" else "process-{}.lock".format(name)
    try:
        return is_locked(os.path.join(home, "run", file))
    except OSError:
        return False


def _start() -> str:
    import subprocess  # only when a server has to be started

    command = [sys.executable, "-m", "atlas_server.main", "start"]
    if sys.version_info >= (3, 11):
        command.insert(1, "-P")  # else a logging.py of the folder we are in would be imported
    # It is no part of the job that this program may be.
    variables = config.variables()
    done = subprocess.run(
        command,
        env={name: value for name, value in variables.items() if name not in OF_A_JOB},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    state = config.server_state(config.home())
    if done.returncode != 0 or state is None:
        reason = done.stdout.strip()
        if "No module named" in reason:
            reason = "{} has no Atlas server.".format(sys.executable)
        raise Unreachable("No Atlas server could be started: {}".format(reason))
    return state["url"]
