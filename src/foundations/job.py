"""The handle of a submitted job."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Optional, TypeVar

    from foundations.client.api import Api

    _R = TypeVar("_R")

# The words in which users of older versions know the states.
_OLD_STATUS = {
    "queued": "queued",
    "starting": "pending",
    "running": "running",
    "stopping": "running",
    "completed": "completed",
    "failed": "failed",
    "stopped": "failed",
}


class Deployment:
    """A submitted job; one handle may be used by many threads.

    Methods that wait take `timeout` in seconds (None: for ever) and raise TimeoutError. Those that
    ask for a job that is deleted raise NotFound, if they say nothing else. Without `url` it is a
    job of this machine's server, which is started if need be.
    """

    def __init__(self, job_id: str, url: Optional[str] = None) -> None:
        self._job_id = job_id
        self._url = url

    def _ask(self, question: Callable[[Api], _R]) -> _R:
        """Return the server's answer, over this thread's connection."""
        from foundations.client.kept import connection_to
        from foundations.client.server import moved
        from foundations.errors import Unreachable

        url = self._server()
        try:
            return question(connection_to(url))
        except Unreachable:
            now = moved(url)
            if now == url:
                raise
            self._url = now
            return question(connection_to(now))

    def _server(self) -> str:
        # Looked for when it is first needed: a search makes thousands of handles and asks few.
        if self._url is None:
            from foundations import config
            from foundations.client.server import connect

            self._url = connect(config.wanted_scheduler(None)).url
        return self._url

    def __repr__(self) -> str:
        return "Deployment({!r})".format(self._job_id)

    def job_name(self) -> str:
        """Return the job's ID."""
        return self._job_id

    def state(self) -> str:
        """Return the job's state. Raises NotFound."""
        return self._ask(lambda api: api.job(self._job_id))["state"]

    def stop(self) -> None:
        """Stop the job. Raises Refused when it is over."""
        self._ask(lambda api: api.stop(self._job_id))

    def is_job_complete(self) -> bool:
        """Whether the job is over, well or not."""
        return self.get_job_status() == "completed"

    def get_job_status(self) -> Optional[str]:
        """Return queued, running or completed (over, well or not); None for a deleted job."""
        status = self.get_true_job_status()
        return {"pending": "queued", "failed": "completed"}.get(status or "", status)

    def get_true_job_status(self) -> Optional[str]:
        """Return queued, pending, running, completed or failed; None for a deleted job."""
        from foundations.errors import NotFound

        try:
            return _old_status(self._ask(lambda api: api.job(self._job_id)))
        except NotFound:
            return None

    def wait_for_deployment_to_complete(
        self, wait_seconds: float = 5, log_output: bool = True, timeout: Optional[float] = None
    ) -> None:
        """Wait until the job is over or deleted. Raises TimeoutError.

        `wait_seconds` is accepted for old programs: the end is told at once, not looked for.
        """
        del wait_seconds
        if log_output:
            sys.stdout.write("Waiting for job {} to finish\n".format(self._job_id))
        for _ in self._events(timeout, tail=0):
            pass
        if log_output:
            sys.stdout.write("Job {} has finished\n".format(self._job_id))

    def get_job_logs(self) -> str:
        """Return all that the job has printed so far."""
        log = self._ask(lambda api: b"".join(api.logs(self._job_id)))
        return log.decode("utf-8", "replace")

    def stream_job_logs(self, timeout: Optional[float] = None) -> Iterator[str]:
        """Yield the job's lines as it prints them, until it is over. Raises TimeoutError."""
        rest = ""
        for event, data in self._events(timeout):
            if event == "log":
                *lines, rest = (rest + data["text"]).split("\n")
                yield from lines
        if rest:
            yield rest

    def get_job_details(
        self, wait_seconds: float = 5, timeout: Optional[float] = None
    ) -> Dict[str, Any]:
        """Wait for the end and return the job's project, times, metrics, parameters and tags."""
        from datetime import datetime, timezone

        from foundations.contract.numbers import from_text

        self.wait_for_deployment_to_complete(wait_seconds, False, timeout)
        job = self._ask(lambda api: api.job(self._job_id))

        def moment(seconds: Optional[float]) -> Any:
            if seconds is None:
                return None
            return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)

        return {
            "project_name": job["project"],
            "job_id": job["job_id"],
            "user": job["user"],
            "status": _old_status(job),
            "start_time": moment(job["started_at"]),
            "completed_time": moment(job["finished_at"]),
            "creation_time": job["submitted_at"],
            "metrics": {name: from_text(point["value"]) for name, point in job["metrics"].items()},
            "parameters": {name: from_text(value) for name, value in job["params"].items()},
            "tags": list(job["tags"]),
        }

    def get_metric(
        self, name: str, wait_seconds: float = 5, timeout: Optional[float] = None
    ) -> Any:
        """Wait for the end and return the newest value of a metric. Raises KeyError."""
        details = self.get_job_details(wait_seconds, timeout)
        return self._value(details["metrics"], "metric", name)

    def get_param(self, name: str, wait_seconds: float = 5, timeout: Optional[float] = None) -> Any:
        """Wait for the end and return a parameter, given or logged. Raises KeyError."""
        details = self.get_job_details(wait_seconds, timeout)
        return self._value(details["parameters"], "parameter", name)

    def _value(self, values: Dict[str, Any], what: str, name: str) -> Any:
        if name not in values:
            known = ", ".join(values) or "none"
            raise KeyError(
                "Job '{}' has no {} '{}'. Known: {}.".format(self._job_id, what, name, known)
            )
        return values[name]

    def _events(self, timeout: Optional[float], tail: Optional[int] = None) -> Iterator[Any]:
        """Yield the job's events until it is over, also across a restart of the server."""
        from foundations.client.api import Api
        from foundations.client.follow import follow

        # A connection of its own: it is read while others are asked.
        api = Api.of_user(self._server())
        try:
            yield from follow(api, self._job_id, tail, timeout)
        finally:
            api.close()


def _old_status(job: Dict[str, Any]) -> str:
    # A trial that was given up early has done what it was for.
    is_pruned = job["state"] == "stopped" and job["reason"] == "pruned"
    return "completed" if is_pruned else _OLD_STATUS[job["state"]]
