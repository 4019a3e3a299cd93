"""TensorBoard's folders of a running job: what is new in them becomes files of the job's directory.

The training program only names its folders. A thread here looks at them now and then; what has
grown or changed is copied aside and noted in the journal, which brings it to the server in order,
however long that is away.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from atlas_runner.job_files import files_below, held
from atlas_runner.workspace import Workspace
from foundations.bundle.tree import TreeWriter
from foundations.contract import events
from foundations.contract.environment import LOGDIRS_FILE
from foundations.disk import open_regular
from foundations.errors import BundleError
from foundations.journal.spool import Writer

log = logging.getLogger(__name__)

_SHORTEST_PAUSE = 2.0
# The looks take at most this share of the time.
_SHARE = 0.05
_CHUNK = 1 << 20
# Files that TensorBoard's writers only ever append to; of others nothing is known.
_EVENT_FILE = "tfevents"


@dataclass
class _Sent:
    """What of a file has been copied, and where the copy lies until the server has it."""

    inode: int
    size: int
    mtime_ns: int
    staged: Path


class LogdirWatch:
    """`see` gives a worker's path as it is on this machine, without links; None: it is not here.

    `warn` puts a sentence into the job's log.
    """

    def __init__(
        self, workspace: Workspace, see: Callable[[str], Path | None], warn: Callable[[str], None]
    ) -> None:
        self._workspace = workspace
        self._see = see
        self._warn = warn
        self._writer = Writer(str(workspace.journal_dir))
        self._named: list[str] = []
        # Folder -> its name to the job, the prefix of its files in the directory, "" for the first.
        self._folders: dict[Path, tuple[str, str]] = {}
        self._sent: dict[str, _Sent] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logdirs", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Take in what the worker, which has ended, wrote last."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look(last=True)

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopping.wait(pause):
            began = time.monotonic()
            self._look()
            pause = max(_SHORTEST_PAUSE, (time.monotonic() - began) / _SHARE)

    def _look(self, *, last: bool = False) -> None:
        try:
            self._find_folders()
            for named, prefix in self._folders.values():
                folder = self._see(named)
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, BundleError):
                    if folder is not None:
                        self._look_below(folder, prefix, last=last)
        except OSError as error:
            log.warning("TensorBoard's files cannot be kept: %s", error)

    def _look_below(self, folder: Path, prefix: str, *, last: bool) -> None:
        # What was seen just now may be a link by now.
        with held(Path("/"), str(folder).lstrip("/")) as place:
            for path, file, state in files_below(place):
                if S_ISREG(state.st_mode):
                    with contextlib.suppress(FileNotFoundError, BundleError):
                        self._take(prefix + path, file, state, last=last)

    def _find_folders(self) -> None:
        try:
            lines = _text_of(self._workspace.journal_dir / LOGDIRS_FILE).splitlines()
        except (OSError, BundleError, UnicodeDecodeError):
            return
        for line in lines[len(self._named) :]:
            self._named.append(line)
            with contextlib.suppress(ValueError, TypeError, KeyError):
                self._add(str(json.loads(line)["path"]))

    def _add(self, named: str) -> None:
        folder = self._see(named)
        if folder is None:
            self._warn(
                f"{named[:200]!r} cannot be seen outside of the container: TensorBoard's files are "
                "kept where they lie in the job's folder or a volume."
            )
        elif folder not in self._folders:
            prefix = f"{folder.name}-{len(self._folders)}/" if self._folders else ""
            self._folders[folder] = named, prefix

    def _take(self, path: str, file: str, status: os.stat_result, *, last: bool) -> None:
        known = self._sent.get(path)
        offset = None
        if known is not None:
            same = known.inode == status.st_ino and known.size <= status.st_size
            appended = same and _EVENT_FILE in path.rpartition("/")[2]
            unchanged = appended or known.mtime_ns == status.st_mtime_ns
            if same and unchanged and known.size == status.st_size:
                return
            if not last and known.staged.exists():
                return  # one copy after the other: the server has not even that one yet
            offset = known.size if appended else None
        staged, size = self._stage(file, offset or 0)
        event = {
            "directory": events.TENSORBOARD,
            "path": path.encode("utf-8", "replace").decode(),
            "staged": staged.relative_to(self._workspace.artifacts_dir).as_posix(),
            "size": size,
            "mtime_ns": status.st_mtime_ns,
            "offset": offset,
        }
        lost = self._writer.lost
        self._writer.append(events.FILE, event)
        if self._writer.lost == lost:
            end = (offset or 0) + size
            self._sent[path] = _Sent(status.st_ino, end, status.st_mtime_ns, staged)

    def _stage(self, file: str, offset: int) -> tuple[Path, int]:
        """Copy what comes at `offset`; return the copy and its size."""
        artifacts, name = self._workspace.artifacts_dir, os.urandom(8).hex()
        try:
            with TreeWriter(str(artifacts)) as writer:
                copied = writer.file(f"{name}/part", 0o644)
            with os.fdopen(copied, "wb") as copy, os.fdopen(open_regular(file), "rb") as source:
                source.seek(offset)
                shutil.copyfileobj(source, copy, _CHUNK)
                size = copy.tell()
        except BaseException:
            shutil.rmtree(artifacts / name, ignore_errors=True)
            raise
        return artifacts / name / "part", size


def _text_of(path: Path) -> str:
    """Return what a file of the job holds, or its beginning where no program of ours wrote it."""
    with os.fdopen(open_regular(str(path)), "rb") as file:
        return file.read(_CHUNK).decode()
