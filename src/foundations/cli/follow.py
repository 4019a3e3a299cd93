"""Shows a job on the terminal until it is over."""

from __future__ import annotations

import sys

from foundations import config
from foundations.cli.output import error_text, print_json
from foundations.client.follow import FINAL, follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, Optional

    from foundations.cli.output import Console
    from foundations.client.api import Api


class JobFollower:
    """Prints a job's states as lines and its log as it is."""

    def __init__(
        self,
        api: Api,
        job_id: str,
        console: Console,
        show_log: bool = True,
        tail: Optional[int] = None,
        scheduler: str = "",
    ) -> None:
        self._api = api
        self._scheduler = scheduler or config.default_scheduler()
        self._job_id = job_id
        self._console = console
        self._show_log = show_log
        self._tail = tail
        self._told_queued = False
        self._told_running = False
        self._at_line_start = True

    def queued(self, job: Dict[str, Any]) -> None:
        """Say of a job just submitted that it waits; it may be over before its first news."""
        self._tell_queued(job)

    def run(self) -> str:
        """Return the state that the job ended in, or `left` after Ctrl-C."""
        try:
            for event, data in follow(self._api, self._job_id, self._tail, lost=self._lost):
                if event == "log":
                    self._tell_running()
                    self._print(data["text"])
                elif event == "state":
                    self._tell(data)
                    if data["state"] in FINAL:
                        return data["state"]
        except KeyboardInterrupt:
            self._end_line()
            self._console.info(
                "Streaming ended. Job '{}' goes on; its log: "
                "foundations get logs --follow {} {}".format(
                    self._job_id, self._scheduler, self._job_id
                )
            )
            return "left"
        return "lost"

    def _tell(self, job: Dict[str, Any]) -> None:
        state = job["state"]
        if state in ("queued", "starting"):
            self._tell_queued(job)
            return
        self._end_line()
        if state == "running":
            self._tell_running()
        elif state == "stopping":
            self._console.info("Job '{}' is being stopped.".format(self._job_id))
        elif state == "completed":
            self._console.info("Job '{}' has completed.".format(self._job_id))
        elif state == "deleted":
            self._console.error("Job '{}' has been deleted.".format(self._job_id))
        elif job["reason"] == "requirements_failed" and self._show_log:
            # What could not be installed, and why, is what the log has just said.
            self._console.error(
                "Job '{}' has failed (requirements_failed): see the log above.".format(self._job_id)
            )
        else:
            self._console.error("Job '{}' has {}.".format(self._job_id, ending(job)))

    def _tell_queued(self, job: Dict[str, Any]) -> None:
        if job["state"] == "queued" and job["attempts"]:
            self._end_line()
            self._console.warning(
                "Attempt {} failed ({}); the job is tried again.".format(
                    job["attempts"], job["message"] or job["reason"]
                )
            )
            self._told_running = False
        elif not self._told_queued:
            self._console.info(
                "Job queued. Ctrl-C to stop streaming - job will not be interrupted or cancelled."
            )
        self._told_queued = True

    def _tell_running(self) -> None:
        """The job's preparation is in its log too, so this comes before the log's first line."""
        if not self._told_running:
            self._console.info("Job running, streaming logs.")
        self._told_running = True

    def _print(self, text: str) -> None:
        if not self._show_log or not text:
            return
        data = text.encode("utf-8", "surrogateescape")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self._at_line_start = data.endswith(b"\n")

    def _end_line(self) -> None:
        if not self._at_line_start:
            self._print("\n")

    def _lost(self) -> None:
        # Nothing of it may come between what the job prints: that goes on where it stopped.
        sys.stdout.flush()
        error_text(
            "WARNING",
            "The server does not answer any more; the job goes on. Waiting for the server.",
        )


def see_through(
    api: Api, job: Dict[str, Any], arguments: argparse.Namespace, console: Console
) -> int:
    """Show a job just submitted as --quiet, --json and --stream-job-logs ask; the exit code."""
    if arguments.quiet:
        sys.stdout.write(job["job_id"] + "\n")
        sys.stdout.flush()
    if not arguments.stream_job_logs or config.streaming_disabled():
        if arguments.json:
            print_json(job)
        return 0
    follower = JobFollower(
        api,
        job["job_id"],
        console,
        show_log=not console.silent,
        scheduler=getattr(arguments, "scheduler_config", None) or arguments.scheduler,
    )
    follower.queued(job)
    state = follower.run()
    if arguments.json:
        print_json(api.job(job["job_id"]))
    return 0 if state == "completed" else 130 if state == "left" else 1


def ending(job: Dict[str, Any]) -> str:
    """Return how a job ended, in words that follow `has`: `failed (nonzero_exit): ...`."""
    text = job["state"]
    if job["reason"] and job["state"] != "stopped":
        text += " ({})".format(job["reason"])
    if job["message"]:
        text += ": " + job["message"]
    return text.rstrip(".")
