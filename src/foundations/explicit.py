"""Jobs that a program begins and ends itself: as many as it likes, wherever it runs."""

from __future__ import annotations

import os
import time

from foundations import context, tracking
from foundations.execution import program, ranks, startup
from foundations.execution.job import ExecutedJob
from foundations.scalars import NotScalar, plain_scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Dict, List, Mapping, Optional, Type, TypeVar, Union

    Function = TypeVar("Function", bound=Callable[..., Any])
    StartedJob = Union[ExecutedJob, "PartOfJob"]

_CLAIM = "begun"
_begun: List[str] = []


class PartOfJob(context.JobContext):
    """What `start_job` returns in a submitted job: that job itself, which ends by itself.

    With tracking turned off it is no job at all, and has no ID.
    """

    def finish(self, error: Optional[BaseException] = None) -> None:
        """Do nothing: the job ends with its program."""

    def __enter__(self) -> PartOfJob:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.finish(error)


def start_job(
    project: Optional[str] = None,
    name: Optional[str] = None,
    params: Optional[Mapping[str, Any]] = None,
    tags: Optional[Mapping[str, Any]] = None,
    job_id: Optional[str] = None,
) -> StartedJob:
    """Begin a job in this process and return it; what is logged from now on is recorded there.

        with foundations.start_job(project="digits", params={"lr": 0.1}) as job:
            foundations.log_metric("loss", 0.3)

    ends it with the block: as failed if an exception leaves it, else as completed. Without `with`
    call `job.finish()`; at the end of the program it is called for you. Jobs may be begun one after
    the other, inside of each other, and in several threads at once. `name` is for people, `params`
    and `tags` are recorded, `job_id` is one of your own. Raises ValueError for an ID that is none.

    In a job that was submitted the first call returns that job; later ones begin jobs of their own.
    """
    from foundations.contract.ids import is_job_id

    if job_id is not None and not is_job_id(job_id):
        raise ValueError("{!r} cannot be a job's ID.".format(job_id))
    job = _start(project, name, job_id)
    if params:
        tracking.log_params(params)
    if tags:
        tracking.set_tags(tags)
    return job


def as_job(
    function: Optional[Function] = None,
    *,
    project: Optional[str] = None,
    name: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
    log_arguments: bool = True,
) -> Any:
    """Make every call of a function a job, with the arguments as its parameters.

        @foundations.as_job
        def train(learning_rate, epochs=3): ...

    With arguments, `@foundations.as_job(project="digits")`. The job is called like the function
    unless a `name` is given. What JSON cannot hold of the arguments is recorded as text.
    """

    def decorate(function: Function) -> Function:
        from functools import wraps

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with start_job(project, name or function.__name__, None, tags):
                if log_arguments:
                    tracking.log_params(_arguments(function, args, kwargs))
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]

    return decorate if function is None else decorate(function)


def _start(project: Optional[str], name: Optional[str], job_id: Optional[str]) -> StartedJob:
    from foundations.execution import whole
    from foundations.execution.beginning import begin

    if startup.is_off():
        return PartOfJob("", project or "", "", "")
    context.asks_for_others()  # the program as a whole is no job, if it begins its own
    _begun.append(name or "")
    around = context.inherited()
    if around is not None and not context.is_executed(around.attempt_dir) and _claims(around):
        return PartOfJob(around.job_id, around.project, around.user, around.attempt_dir)
    part = "{} {}".format(len(_begun), "" if around is None else around.job_id)
    found = program.look()
    job = begin(found, time.time(), project, name, job_id, part)
    outer = context.enter(job)
    job.at_end(lambda: context.leave(job, outer))
    job.at_end(lambda: tracking.forget(job))
    whole.take_care(job, found)
    return job


def _claims(job: context.JobContext) -> bool:
    """Whether this is the first job that is begun in a submitted one: then it is that one.

    In a distributed training every rank says the same, and all mean the same job.
    """
    if len(_begun) > 1:
        return False
    if ranks.rank() is not None:
        return True
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(os.path.join(job.artifacts_dir, "." + _CLAIM), flags, 0o600))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _arguments(function: Callable[..., Any], args: Any, kwargs: Dict[str, Any]) -> Dict[str, Any]:
    from inspect import signature

    bound = signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return {
        name: value if _is_plain(value) else str(value)
        for name, value in bound.arguments.items()
        if name not in ("self", "cls")
    }


def _is_plain(value: Any) -> bool:
    from json import dumps

    try:
        dumps(value, default=plain_scalar)
    except (NotScalar, TypeError, ValueError, RecursionError):
        return False
    return True
