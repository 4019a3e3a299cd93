"""Folders that are kept in step with the server: checkpoints to go on from, TensorBoard's files."""

from __future__ import annotations

import errno
import os

from foundations import config, context
from foundations.contract import environment, events
from foundations.contract.manifest import check_path
from foundations.errors import Unreachable
from foundations.notices import warn
from foundations.tracking import record, set_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

    from foundations.client.api import Api

    Path = Union[str, os.PathLike[str]]
    # What tells that a file has changed: size and time of modification in nanoseconds.
    Stamp = Tuple[int, int]

_UNFINISHED = ".atlas-download-"


def create_syncable_directory(
    key: str, directory_path: Optional[Path] = None, source_job_id: Optional[str] = None
) -> SyncableDirectory:
    """Return a folder that `upload()` keeps with this job under `key`.

    It is `directory_path`, made where it does not exist, or a new temporary folder. What the job
    `source_job_id`, or an earlier attempt of this one, has uploaded under the same key is
    downloaded into it first. `str()` of it is its path. Raises NotFound for an unknown source job.
    """
    if directory_path is None:
        from tempfile import mkdtemp

        directory_path = mkdtemp()
    job = context.current() if source_job_id else context.for_recording()
    own = None if job is None else job.job_id
    return SyncableDirectory(key, directory_path, own, source_job_id or own)


class SyncableDirectory:
    """A local folder and its files at the server.

    `local_job_id` is the job that uploads go to, `remote_job_id` the one that downloads come from.
    """

    def __init__(
        self,
        key: str,
        directory_path: Path,
        local_job_id: Optional[str],
        remote_job_id: Optional[str],
        auto_download: bool = True,
    ) -> None:
        if not isinstance(key, str) or not key:
            raise ValueError("Invalid key `{}` of a directory: it should be a text.".format(key))
        self.key = key
        self._folder = os.path.abspath(os.fsdecode(directory_path))
        self._local_job_id = local_job_id
        self._remote_job_id = remote_job_id
        # What the server has, or will have, of this job: path below the folder -> stamp.
        self._uploaded: Dict[str, Stamp] = {}
        os.makedirs(self._folder, exist_ok=True)
        if auto_download:
            self.download()

    def __str__(self) -> str:
        return self._folder

    def __fspath__(self) -> str:
        return self._folder

    def __repr__(self) -> str:
        return "SyncableDirectory({!r}, {!r})".format(self.key, self._folder)

    def upload(self) -> None:
        """Keep every file that is new or has changed; what was deleted here stays there.

        The copies are made at once; they reach the server while the program goes on. A full disk
        only warns.
        """
        job = context.for_recording()
        if job is None:
            warn("Cannot upload the directory `{}` outside of job.".format(self.key))
            return
        found: List[Dict[str, Any]] = []
        stamps: Dict[str, Stamp] = {}
        for path, full in _files(self._folder):
            try:
                stamp = _stamp(full)
                if self._uploaded.get(path) == stamp:
                    continue
                found.append(_staged(self.key, path, full, stamp[1], job.artifacts_dir))
            except FileNotFoundError:
                continue  # deleted since it was listed
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                warn("The directory `{}` is not uploaded: {}.".format(self.key, error))
                break
            stamps[path] = stamp
        record(events.FILE, found)
        self._uploaded.update(stamps)

    def download(self) -> None:
        """Fetch what the server has and is not here, or is older here."""
        source = self._remote_job_id
        if source is None:
            return
        own = source == self._local_job_id
        if own and config.job_socket() is None:
            return  # it was not scheduled: there was no attempt before this one
        try:
            api = _api()
            for file in api.directory(source, self.key):
                path, stamp = check_path(file["path"]), (file["size"], file["mtime_ns"])
                if own:
                    self._uploaded[path] = stamp
                self._fetch(api, source, path, stamp[1])
            api.close()
        except Unreachable as error:
            if not own:
                raise
            warn("What was uploaded to `{}` before is not fetched: {}".format(self.key, error))

    def _fetch(self, api: Api, source: str, path: str, mtime_ns: int) -> None:
        target = os.path.join(self._folder, path)
        if os.path.exists(target) and os.stat(target).st_mtime_ns >= mtime_ns:
            return
        folder = os.path.dirname(target)
        os.makedirs(folder, exist_ok=True)
        partial = os.path.join(folder, _UNFINISHED + os.urandom(6).hex())
        try:
            with open(partial, "wb") as file:
                file.writelines(api.directory_file(source, self.key, path))
            os.utime(partial, ns=(mtime_ns, mtime_ns))
            os.replace(partial, target)
        finally:
            if os.path.exists(partial):
                os.unlink(partial)


def set_tensorboard_logdir(path: Path) -> None:
    """Show what is written to the folder `path` in TensorBoard, while the job runs and after.

    Outside of a job nothing happens.
    """
    import json

    folder = os.path.abspath(os.fsdecode(path))
    job = context.for_recording()
    if job is not None:
        os.makedirs(folder, exist_ok=True)
        os.makedirs(job.journal_dir, exist_ok=True)
        # One write of one line: several processes may do so.
        with open(os.path.join(job.journal_dir, environment.LOGDIRS_FILE), "a") as file:
            file.write(json.dumps({"path": folder}) + "\n")
    # What the page looks for; and outside of a job, the remark that it is none.
    set_tag("tf", "tf")


def _api() -> Api:
    from foundations.client.server import find

    return find(config.wanted_scheduler(None))


def _files(folder: str) -> Iterator[Tuple[str, str]]:
    """Yield (path below `folder`, path) of every regular file; links to folders are left out."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            full = os.path.join(parent, name)
            if os.path.isfile(full) and not name.startswith(_UNFINISHED):
                yield os.path.relpath(full, folder).replace(os.sep, "/"), full


def _stamp(path: str) -> Stamp:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _staged(key: str, path: str, full: str, mtime_ns: int, artifacts_dir: str) -> Dict[str, Any]:
    """Copy a file aside and return the event that says where it belongs."""
    from foundations import staging

    copy = staging.stage(full, artifacts_dir)
    return {
        "directory": staging.readable(key),
        "path": staging.readable(path),
        "staged": copy.staged,
        "size": copy.size,
        "mtime_ns": mtime_ns,
    }
