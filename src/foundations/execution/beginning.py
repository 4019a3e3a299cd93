"""How an executed job begins: what is known of it is written down, and its code is kept."""

from __future__ import annotations

import os
import sys
import time

from foundations import config, context
from foundations._version import __version__
from foundations.contract import environment
from foundations.contract.ids import is_job_id
from foundations.execution import ranks
from foundations.execution.folder import JobFolder, meet, place_of
from foundations.execution.job import ExecutedJob
from foundations.execution.keeping import keep_code
from foundations.execution.members import this_process
from foundations.execution.program import INTERACTIVE, notebook
from foundations.execution.projects import project_of, usable
from foundations.ids import new_job_id
from foundations.notices import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from foundations.execution.program import Program

    Json = Dict[str, Any]


_PATHS = (str, os.PathLike)


def begin(
    program: Program,
    started_at: float,
    project: Optional[str] = None,
    name: Optional[str] = None,
    job_id: Optional[str] = None,
    part: str = "",
) -> ExecutedJob:
    """Begin a job, or join the one that other processes of this training have begun.

    `part` names a job that the program begins itself, among all those of one training. Raises
    OSError.
    """
    facts = _facts(program, started_at, project, name)
    facts["explicit"] = bool(part)
    group = ranks.group()
    wanted = job_id or _wanted()
    process = this_process(ranks.rank(), group.round if group else 0, started_at)
    place = place_of(config.home())
    for folder in (config.home(), place):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    made: List[JobFolder] = []

    def make(meeting: Optional[str]) -> JobFolder:
        if group is not None:
            known = {"launcher": group.launcher, "agent": group.agent, "meeting": meeting}
            facts["group"] = known
        folder = _make(place, wanted, facts, process)
        if folder is None:
            return JobFolder(os.path.join(place, str(wanted)))
        made.append(folder)
        return folder

    if group is None:
        folder = make(None)
    else:
        folder = meet(place, "{} {}".format(group.key, part), make, time.time())
    if made:
        keep_code(folder)
        return ExecutedJob(folder, facts)
    folder.add_process(process)
    return ExecutedJob(folder, folder.facts())


def _make(place: str, job_id: Optional[str], facts: Json, process: Json) -> Optional[JobFolder]:
    """Make the folder of a new job; None: there is one of that ID, which is not over."""
    if job_id is not None:
        try:
            return JobFolder.create(place, job_id, facts, process)
        except FileExistsError:
            if JobFolder(os.path.join(place, job_id)).goes_on(time.time()):
                return None
            warn("There has been a job {} before: this one gets another ID.".format(job_id))
    return JobFolder.create(place, new_job_id(), facts, process)


def _wanted() -> Optional[str]:
    """Return the ID that the environment asks for."""
    if context.inherited() is not None:
        return None  # it names the job that this one is begun in
    wanted = os.environ.get(environment.JOB_ID)
    if not wanted or is_job_id(wanted):
        return wanted or None
    warn("{} {!r} cannot be a job's ID: another is used.".format(environment.JOB_ID, wanted))
    return None


def _facts(
    program: Program, started_at: float, project: Optional[str], name: Optional[str]
) -> Json:
    directory = _directory()
    outer = context.current()
    return {
        "version": 1,
        "project": usable(project) if project else project_of(directory),
        "name": name,
        "user": config.user(),
        "kind": program.kind,
        "path": program.path,
        "words": program.words,
        "notebook": notebook() if program.kind == INTERACTIVE else None,
        "directory": directory,
        "parent": outer.job_id if outer is not None else None,
        "started_at": started_at,
        "host": os.uname().nodename,
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "executable": sys.executable,
        "search_path": [os.fspath(path) for path in sys.path if isinstance(path, _PATHS)],
        "client": __version__,
    }


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.path.expanduser("~")  # it was deleted behind our back
