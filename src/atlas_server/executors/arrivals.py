"""Jobs that ran without this server, or run, as their folders appear on its machine."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from atlas_runner import inotify
from atlas_runner.descendants import process_alive
from atlas_server.domain.ports import Handle, LaunchFailed
from foundations.contract.environment import LOCAL_FOLDER, READY_SUFFIX, REMOTE_FILE, TAKEN_FILE

log = logging.getLogger(__name__)

# Whoever was to offer a job may have been killed: then it is taken in without being offered.
_OVERDUE = 120.0
_LOOK_INTERVAL = 30.0
# Where the kernel cannot tell of new files.
_POLL_INTERVAL = 1.0
_MOST_TRIES = 3
_ABANDONED = 3600.0


class Arrivals:
    """Watches the folder below `home`. `take_in` starts a runner for one and returns its handle.

    Nothing is taken in while another process has to (`leads` is false).
    """

    def __init__(
        self, home: Path, take_in: Callable[[str], Handle], leads: Callable[[], bool]
    ) -> None:
        self._place = home / LOCAL_FOLDER
        self._take_in = take_in
        self._leads = leads
        self._started: dict[str, list[Handle]] = {}
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="arrivals", daemon=True)

    def start(self) -> None:
        """Take in what is there, and from now on what comes."""
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; runners are left to themselves."""
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join()

    def _run(self) -> None:
        watcher = self._watch()
        fds = [self._stop_fd, *([watcher.fileno()] if watcher else [])]
        while True:
            try:
                if self._leads():
                    self._look()
            except OSError:
                log.exception("Jobs of %s could not be taken in.", self._place)
            pause = _LOOK_INTERVAL if watcher and self._leads() else _POLL_INTERVAL
            ready, _, _ = select.select(fds, [], [], pause)
            if self._stop_fd in ready:
                break
            if watcher is not None:
                watcher.read_events()
        if watcher is not None:
            watcher.close()

    def _watch(self) -> inotify.Watcher | None:
        try:
            watcher = inotify.Watcher()
            watcher.add(self._place)
        except OSError as error:
            log.warning("Jobs without a scheduler are looked for instead of heard of: %s", error)
            return None
        return watcher

    def _look(self) -> None:
        for folder in sorted(_folders(self._place), key=_begun_at):
            name = folder.name
            tries = self._started.setdefault(name, [])
            if tries and (process_alive(tries[-1]) or len(tries) == _MOST_TRIES):
                continue
            if self._is_wanted(folder):
                try:
                    tries.append(self._take_in(str(folder)))
                except LaunchFailed as error:
                    log.error("Job %s could not be taken in: %s", name, error)
        self._forget_the_gone()

    def _is_wanted(self, folder: Path) -> bool:
        """Whether a folder holds a job that the server is to know and does not."""
        if (folder / TAKEN_FILE).exists() or (folder / REMOTE_FILE).exists():
            return False
        begun = _begun_at(folder)
        return self._mark(folder.name).exists() or 0 < begun < time.time() - _OVERDUE

    def _mark(self, name: str) -> Path:
        return self._place / f"{name}{READY_SUFFIX}"

    def _forget_the_gone(self) -> None:
        for partial in self._place.glob(".*-*"):
            # Of programs that were killed while they began; others become whole this very moment.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(partial, ignore_errors=True)
        for mark in self._place.glob(f"*{READY_SUFFIX}"):
            if not (self._place / mark.name.removesuffix(READY_SUFFIX)).exists():
                mark.unlink(missing_ok=True)
        gone = [name for name in self._started if not (self._place / name).exists()]
        for name in gone:
            del self._started[name]


def unknown_code(home: Path) -> tuple[set[str], float | None]:
    """Return the manifests of jobs below `home` that the server does not know yet.

    And since when contents may have been stored of such whose manifest is not known either; None
    where there are none.
    """
    found: set[str] = set()
    since: float | None = None
    for folder in _folders(home / LOCAL_FOLDER):
        try:
            if not (folder / TAKEN_FILE).exists():
                found.add(str(json.loads((folder / "spec.json").read_bytes())["bundle"]))
        except (OSError, ValueError, KeyError):
            # Its code is only just being kept.
            begun = _begun_at(folder)
            since = begun if since is None else min(since, begun)
    return found, since


def _folders(place: Path) -> Iterator[Path]:
    if not place.exists():
        return
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield Path(entry.path)


def _begun_at(folder: Path) -> float:
    try:
        return (folder / "facts.json").stat().st_mtime
    except FileNotFoundError:
        return 0.0  # removed this very moment
