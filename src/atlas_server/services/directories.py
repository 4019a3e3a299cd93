"""What running jobs leave besides results: synchronised directories and measurements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from atlas_server.archive.directories import DirectoryArchive, StoredFile
from atlas_server.archive.samples import SampleArchive, thinned
from atlas_server.domain.records import JobRecord
from atlas_server.domain.retention import DIRECTORIES
from atlas_server.services.removed import refuse_removed
from atlas_server.services.runners import current_attempt
from atlas_server.store.engine import Store
from foundations.errors import Fenced


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an attempt's directories a file belongs; `offset` None: it is the whole file."""

    attempt: int
    directory: str
    path: str
    mtime_ns: int
    offset: int | None = None


class Directories:
    """Use cases over the directories and measurements of jobs."""

    def __init__(self, store: Store, archive: DirectoryArchive, samples: SampleArchive) -> None:
        self._store = store
        self._archive = archive
        self._samples = samples

    def receive(self, token: str, place: Place, chunks: Iterable[bytes]) -> None:
        """Store a file, or a part of one. Raises Fenced, StorageFull, NotFound or BundleError."""
        with self._store.read() as connection:
            attempt, job = current_attempt(connection, token, place.attempt)
        if attempt.ended_at is not None:
            raise Fenced(f"Attempt {attempt.number} of job '{job.job_id}' is over.")
        where = (job.job_id, place.directory, place.path)
        if place.offset is None:
            self._archive.write(*where, chunks, place.mtime_ns)
        else:
            self._archive.write_at(*where, place.offset, chunks, place.mtime_ns)

    def files(self, job: JobRecord, key: str) -> list[StoredFile]:
        """Return the files of a directory, by path; none where there is no such directory."""
        found = self._archive.files(job.job_id, key)
        if not found:
            with self._store.read() as connection:
                refuse_removed(connection, job, DIRECTORIES)
        return found

    def measured(self, job: JobRecord, most: int) -> dict[str, Any]:
        """Return `{"time": [...], "values": {name: [...]}}`, of at most `most` moments."""
        return thinned(self._samples.read(job.job_id), most)

    def open(self, job: JobRecord, key: str, path: str) -> BinaryIO:
        """Open a file of a directory. Raises NotFound."""
        return self._archive.open(job.job_id, key, path)
