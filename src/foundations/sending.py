"""One folder on its way to becoming a job: read, hashed, and sent as far as the server lacks it."""

from __future__ import annotations

import os

from foundations import config
from foundations.bundle.hashing import open_file
from foundations.bundle.scan import hash_listing, list_folder, read_verified
from foundations.client.api import Api
from foundations.client.persistence import Persistence
from foundations.client.server import is_remote
from foundations.client.upload import Source, Upload
from foundations.contract.request import check_request
from foundations.errors import BlobsMissing, ConfigError, ServerError, Unreachable
from foundations.ids import new_job_id
from foundations.notices import warn
from foundations.specification import job_spec, read_block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, TypeVar

    from foundations.bundle.hashing import Bundle
    from foundations.bundle.scan import Listing

    _R = TypeVar("_R")

# Bytes of a folder that takes long enough to read to ask first.
_LARGE = 10_000_000
# Seconds for which a server elsewhere may be away while a folder is sent to it.
_PATIENCE = 600.0


class Progress:
    """What happens while a job is submitted; the command line prints all of it."""

    def started(self) -> None:
        """Begins."""

    def remark(self, text: str) -> None:
        """Something that the submitter should know."""
        warn(text)

    def preparing(self, folder: str) -> None:
        """The folder is about to be looked at."""

    def sized(self, listing: Listing) -> None:
        """The folder's size is known."""

    def reading(self, done: int, total: int) -> None:
        """Bytes read of those that have to be read."""

    def sending(self, done: int, total: int) -> None:
        """Bytes sent of those that the server lacks."""

    def lost(self, error: Unreachable) -> None:
        """The server has gone away; it is tried again and goes on where it stopped."""
        warn("{} Trying again, to go on where it stopped.".format(error.message))

    def submitted(self, job: Dict[str, Any]) -> None:
        """The job is durable."""


class Submission:
    """One folder on its way to becoming a job.

    `given` holds what flags or keyword arguments say, under the names of job.config.yaml, and
    besides `command`, `environment`, `image`. None: not said. `base` is the worker block that the
    scheduler has for all jobs.
    """

    def __init__(
        self,
        folder: str,
        given: Dict[str, Any],
        progress: Optional[Progress] = None,
        base: Optional[Dict[str, Any]] = None,
    ) -> None:
        self._folder = folder
        self._job_ids: List[str] = []
        self._progress = progress or Progress()
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise ConfigError(
                "{} is a file, not a folder.".format(folder),
                "Give the folder, and name the script as the command.",
            )
        if not os.path.isdir(folder):
            raise ConfigError("The job's folder '{}' does not exist.".format(folder))
        file = config.job_config(folder)
        said = {key: value for key, value in given.items() if value is not None}
        check_request({**file, **said})
        worker = read_block(file.get("worker") or {}, said, base or {})
        self._remarks = worker.remarks
        self.spec = job_spec(folder, {**file, **said}, worker)

    def bundle(self, api: Optional[Api] = None) -> Bundle:
        """Read the folder and put its bundle into the spec. Raises BundleError.

        Before a large folder is read, the server behind `api` is asked whether it takes such a job.
        """
        from foundations.bundle.git import GitLook

        git = GitLook(self._folder, config.variables())
        self._progress.preparing(self._folder)
        listing = list_folder(self._folder)
        self._progress.sized(listing)
        if api is not None and listing.total_size > _LARGE:
            try:
                api.check(self.spec)
            except ServerError:
                git.result()  # nothing may be left running
                raise
        bundle = hash_listing(listing, config.cache_dir("hashes"), self._progress.reading)
        self.spec["bundle"] = bundle.digest
        self.spec["origin"]["git"] = git.result()
        return bundle

    def send(self, api: Api) -> Dict[str, Any]:
        """Submit the job and return its listing row; what the server lacks is sent first."""
        self._progress.started()
        for remark in self._remarks:
            self._progress.remark(remark)
        bundle = self.bundle(api)
        job = self._with_content(api, bundle, lambda: api.submit(self.spec, self._ids(1)[0]))
        self._progress.submitted(job)
        return job

    def send_many(self, api: Api, params: List[Optional[Dict[str, Any]]]) -> List[str]:
        """Submit a job for each of `params`, in one request, and return their IDs."""
        for remark in self._remarks:
            self._progress.remark(remark)
        bundle = self.bundle(api)
        ids = self._ids(len(params))
        jobs = [{"job_id": job_id, "params": each} for job_id, each in zip(ids, params)]
        return self._with_content(api, bundle, lambda: api.submit_batch(self.spec, jobs))

    def send_search(self, api: Api, wanted: Dict[str, Any]) -> Dict[str, Any]:
        """Start a search whose trials are jobs of the folder, and return its row."""
        for remark in self._remarks:
            self._progress.remark(remark)
        bundle = self.bundle(api)
        wanted = {"search_id": self._ids(1)[0], "spec": self.spec, **wanted}
        return self._with_content(api, bundle, lambda: api.start_search(wanted))

    def _ids(self, count: int) -> List[str]:
        """Return the IDs of the jobs, the same ones when they have to be sent again."""
        self._job_ids.extend(new_job_id() for _ in range(count - len(self._job_ids)))
        return self._job_ids

    def _with_content(
        self, api: Api, bundle: Bundle, create: Callable[[], _R], tries: int = 3
    ) -> _R:
        """Do `create`, once what the server lacks of the folder has been sent."""
        again = Persistence(self._progress.lost, _PATIENCE if is_remote(api.url) else 0.0)
        while True:
            try:
                return again(create)
            except BlobsMissing:
                # Seldom twice: somebody deleted a job whose files were ours too.
                tries -= 1
                if not tries:
                    raise
                again.met()
            _, missing = again(lambda: api.send_manifest(bundle.manifest))
            if missing:
                Upload(api, _Files(bundle), again, self._progress.sending).send(missing)


class _Files(Source):
    """The files of a folder."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def size(self, digest: str) -> int:
        return self._bundle.size_of(digest)

    def chunks(self, digest: str) -> Iterator[bytes]:
        return read_verified(self._bundle.path_of(digest), digest, self.size(digest))

    def open(self, digest: str) -> BinaryIO:
        return open_file(self._bundle.path_of(digest))
