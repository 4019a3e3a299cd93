"""Brings an attempt's log and journal to the server, as they are written.

One thread of the runner. What cannot be sent stays in its file; sending starts again where the
server left off, so nothing is lost or doubled, however long the server is away.
"""

from __future__ import annotations

import base64
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from atlas_runner import inotify
from atlas_runner.contents import Contents
from atlas_runner.finding import server_now
from atlas_runner.workspace import Workspace
from foundations.client.api import Api
from foundations.contract import events, report
from foundations.contract.codec import plain
from foundations.contract.report import Assignment, Report, Result
from foundations.errors import (
    Fenced,
    FoundationsError,
    InvalidRequest,
    ServerError,
    StorageFull,
    Unreachable,
    WrongServer,
)
from foundations.journal.reader import Batch, JournalReader

log = logging.getLogger(__name__)

_CHUNK_BYTES = 256 * 1024
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 3.0
# Where the kernel cannot tell of changed files, they are looked at this often.
_LOOK_INTERVAL = 0.1
_FIRST_NEWS = 0.03
_AT_ONCE = 0.004
_PACE = 0.1
# A report that fails this often for a reason of its own is sent without what the job recorded.
_MOST_FAILURES = 5


class Shipper:
    """Sends reports. `stop_worker` is called when the server wants the attempt to end."""

    def __init__(
        self,
        assignment: Assignment,
        workspace: Workspace,
        runner: str,
        stop_worker: Callable[[], None],
    ) -> None:
        self.fenced = False
        self._assignment = assignment
        self._workspace = workspace
        self._runner = runner
        self._stop_worker = stop_worker
        self._api = Api(assignment.server, assignment.token)
        self._reader = JournalReader(str(workspace.journal_dir))
        self._log_offset = 0
        self._phase = report.PREPARING
        self._environment: dict[str, Any] | None = None
        self._environment_sent = True
        self._dirty = assignment.recover
        self._sent_at = time.monotonic()
        self._worker_started_at: float | None = None
        self._result: Result | None = None
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._watcher = self._watch()
        self._started = False
        self._delivered = False
        self._failures = 0
        self._contents = Contents(assignment, workspace, self._warn)
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin to send: the worker has started, or will not soon. Once is enough."""
        if not self._started:
            self._started = True
            self._thread.start()

    def worker_started(self, environment: dict[str, Any], at: float | None = None) -> None:
        """Tell the server that the worker runs, since when and with what; starts to send."""
        self._environment = environment
        self._environment_sent = False
        self._phase = report.RUNNING
        self._worker_started_at = time.time() if at is None else at
        self._dirty = True
        self.start()

    def finish(self, result: Result) -> bool:
        """Send all that is left, then the result; returns when the server has it.

        That may be days later. True when the attempt is over for the server, one way or another;
        False when it could not be told and another runner has to.
        """
        self._result = result
        self._wake()
        self.start()
        self._thread.join()
        self._contents.close()
        if self.fenced and result.exit_code is not None and self._workspace.root.exists():
            self._tell_too_late(result)
        return self._delivered or self.fenced

    def _wake(self) -> None:
        self._dirty = True
        os.eventfd_write(self._wake_fd, 1)

    def _watch(self) -> inotify.Watcher | None:
        if not inotify.available():
            return None
        self._workspace.log_path.touch()
        try:
            watcher = inotify.Watcher()
        except OSError as error:
            log.warning("Files are looked at instead of watched: %s", error)
            return None
        try:
            watcher.add(self._workspace.log_path)
            watcher.add(self._workspace.journal_dir)
        except OSError as error:
            log.warning("Files are looked at instead of watched: %s", error)
            watcher.close()
            return None
        return watcher

    def _run(self) -> None:
        try:
            self._send_all()
        finally:
            self._api.close()
            if self._watcher is not None:
                self._watcher.close()

    def _send_all(self) -> None:
        pause = _FIRST_PAUSE
        self._await_first_news()
        while not self.fenced:
            try:
                self._delivered = self._send_once()
                if self._delivered:
                    return
                pause, self._failures = _FIRST_PAUSE, 0
            except Fenced as error:
                self._give_up(str(error))
            except (Unreachable, WrongServer, StorageFull) as error:
                if pause == _FIRST_PAUSE:
                    log.warning("%s It is tried again until it does.", error)
                self._dirty = True
                self._find_server()
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                if not self._workspace.root.exists():
                    self._give_up("The attempt's folder was removed.")
            except Exception as error:
                # Whatever it is, the job must come to its end: this thread may not die of it.
                log.exception("A report could not be sent; it is tried again.")
                self._dirty = True
                self._failures += 1
                if self._failures >= _MOST_FAILURES and not _is_passing(error):
                    self._drop_records(error)
                time.sleep(min(_LONGEST_PAUSE, 0.1 * 2**self._failures))

    def _give_up(self, reason: str) -> None:
        log.warning("%s", reason)
        self.fenced = True
        self._stop_worker()

    def _tell_too_late(self, result: Result) -> None:
        """Say how an attempt ended that has been given up: that is refused, and kept beside it."""
        told = Report(
            attempt=self._assignment.attempt,
            instance=self._assignment.instance,
            phase=report.FINISHED,
            runner=self._runner,
            result=result,
        )
        api = Api(self._api.url, self._assignment.token)
        try:
            api.report(plain(told))
        except FoundationsError as error:
            log.info("%s", error)
        finally:
            api.close()

    def _drop_records(self, error: Exception) -> None:
        """Pass over what makes a report impossible, so that the rest of the job is told."""
        lost = 0
        for batch in self._reader.read(finish=self._result is not None):
            lost += len(batch.events)
            self._reader.advance(batch)
        self._environment_sent = True
        self._failures = 0
        self._warn(f"{lost} recorded lines could not be taken in and are lost: {error}")

    def _send_once(self) -> bool:
        """Send what is new, or sleep until there is something; True once the result is sent."""
        result = self._result
        data = self._read_log()
        batches = self._reader.read(finish=result is not None)
        self._report_broken()
        is_last = result is not None and not batches and len(data) < _CHUNK_BYTES
        if not data and not batches and not self._dirty and not is_last:
            self._wait_for_news()
            if time.monotonic() - self._sent_at >= self._assignment.heartbeat:
                self._dirty = True
            return False
        self._send(data, batches, result if is_last else None)
        for batch in batches:
            self._reader.advance(batch)
        if batches:
            self._reader.tidy()
        recorded = sum(batch.end[0] - batch.start[0] for batch in batches)
        if not is_last and len(data) < _CHUNK_BYTES and recorded < _CHUNK_BYTES:
            # A worker that prints or logs all the time is heard ten times a second, not a thousand.
            self._sleep(_PACE, [self._wake_fd])
        return is_last

    def _send(self, data: bytes, batches: list[Batch], result: Result | None) -> None:
        self._dirty = False
        self._sent_at = time.monotonic()
        environment = None if self._environment_sent else self._environment
        told = plain(
            Report(
                attempt=self._assignment.attempt,
                instance=self._assignment.instance,
                started_at=self._worker_started_at,
                phase=report.FINISHED if result else self._phase,
                runner=self._runner,
                log_offset=self._log_offset,
                log=base64.b64encode(data).decode(),
                environment=environment,
                result=result,
            )
        )
        # Lines are JSON already: making them so again would take longer than all the rest.
        told["journal"] = [self._outgoing(batch) for batch in batches]
        reply = self._api.report(told)
        if environment is not None:
            self._environment_sent = True
        self._log_offset = reply["log_size"]
        if reply["stop"]:
            self._stop_worker()

    def _read_log(self) -> bytes:
        try:
            with self._workspace.log_path.open("rb") as file:
                file.seek(self._log_offset)
                return file.read(_CHUNK_BYTES)
        except OSError:
            return b""  # not there yet, or the job has put something else in its place

    def _await_first_news(self) -> None:
        """Let the start, the first lines and, of a very short job, the end share one report."""
        if self._phase == report.RUNNING and self._result is None and self._watcher is not None:
            self._watcher.read_events()
            self._sleep(_FIRST_NEWS, [self._wake_fd, self._watcher.fileno()])
            if self._result is None:
                self._sleep(_AT_ONCE, [self._wake_fd])

    def _wait_for_news(self) -> None:
        if self._watcher is None:
            self._sleep(_LOOK_INTERVAL, [self._wake_fd])
        else:
            self._sleep(self._assignment.heartbeat, [self._wake_fd, self._watcher.fileno()])
            self._watcher.read_events()

    def _sleep(self, seconds: float, fds: list[int]) -> None:
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        # poll counts milliseconds in 31 bits.
        for fd, _ in poll.poll(min(seconds, 3600.0) * 1000):
            if fd == self._wake_fd:
                os.eventfd_read(self._wake_fd)

    def _outgoing(self, batch: Batch) -> dict[str, Any]:
        """Return the JSON form of a JournalBatch."""
        stored, api = self._contents.stored, self._api
        lines = [line if line["k"] == events.METRIC else stored(line, api) for line in batch.events]
        return {"writer": batch.writer, "first": batch.first_n, "events": lines}

    def _report_broken(self) -> None:
        for writer, number, excerpt in self._reader.broken:
            self._warn(f"line {number} of journal {writer} is broken: {excerpt!r}")
        self._reader.broken.clear()

    def _warn(self, text: str) -> None:
        """Say something in the job's log."""
        try:
            self._workspace.remark(f"Foundations WARNING: {text}\n".encode("utf-8", "replace"))
        except OSError as error:
            log.warning("%s (%s)", text, error)

    def _find_server(self) -> None:
        """Look where the server is now: it may have come back on another port."""
        url = server_now(self._assignment, self._api.url)
        if url != self._api.url:
            self._api.close()
            self._api = Api(url, self._assignment.token)


def _is_passing(error: Exception) -> bool:
    """Whether the same report may well be taken later: the trouble is the server's, not its own."""
    return isinstance(error, ServerError) and not isinstance(error, InvalidRequest)
