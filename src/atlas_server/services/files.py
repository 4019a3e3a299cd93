"""Jobs' files one by one: code, results, artifacts and what is in folders of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

from atlas_server.archive.bundles import Bundles
from atlas_server.domain.answers.files import File
from atlas_server.domain.answers.jobs import Artifact
from atlas_server.domain.media import media_type
from atlas_server.domain.records import JobRecord
from atlas_server.domain.reports import readable
from atlas_server.domain.retention import ARTIFACTS, RESULTS
from atlas_server.services.removed import refuse_removed
from atlas_server.store import tracking
from atlas_server.store.engine import Store
from foundations.contract.manifest import Entry
from foundations.errors import InvalidRequest, NotFound

Part = Literal["code", "results"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file's content: what it is called, and the blob that it is."""

    name: str
    digest: str
    size: int


class Files:
    """Reads of files."""

    def __init__(self, store: Store, bundles: Bundles) -> None:
        self._store = store
        self._bundles = bundles

    def artifacts(self, job: JobRecord) -> list[Artifact]:
        """Return every version of every artifact of a job."""
        with self._store.read() as connection:
            return artifacts_told(tracking.artifacts_of(connection, job.id))

    def artifact_files(self, job: JobRecord, key: str, version: int | None) -> list[File]:
        """Return what is in an artifact that is a folder. Raises NotFound or InvalidRequest."""
        row = self._artifact(job, key, version)
        if not row["folder"]:
            raise InvalidRequest(f"The artifact '{key}' is a file, not a folder.")
        return [_file(entry) for entry in self._bundles.entries(row["digest"])]

    def artifact(self, job: JobRecord, key: str, version: int | None, path: str | None) -> Found:
        """Return an artifact's content, or that of a file in a folder. Raises NotFound."""
        row = self._artifact(job, key, version)
        if row["folder"]:
            if not path:
                raise InvalidRequest(f"The artifact '{key}' is a folder: say which `path` in it.")
            return _found(self._bundles.entries(row["digest"]), path)
        if path:
            raise NotFound(f"The artifact '{key}' is a file, there is no '{path}' in it.")
        return Found(row["filename"] or key, row["digest"], row["size"])

    def files(self, job: JobRecord, part: Part) -> list[File]:
        """Return the code of a job as submitted, or the files that it made."""
        return [_file(entry) for entry in self._entries(job, part)]

    def file(self, job: JobRecord, part: Part, path: str) -> Found:
        """Return the content of one of a job's files. Raises NotFound."""
        return _found(self._entries(job, part), path)

    def open(self, found: Found) -> BinaryIO:
        """Open a content. Raises NotFound."""
        return self._bundles.blobs.open(found.digest)

    def _entries(self, job: JobRecord, part: Part) -> list[Entry]:
        digest = job.bundle if part == "code" else job.outputs
        if digest is None:
            with self._store.read() as connection:
                refuse_removed(connection, job, RESULTS)
            return []
        return self._bundles.entries(digest)

    def _artifact(self, job: JobRecord, key: str, version: int | None) -> dict[str, Any]:
        with self._store.read() as connection:
            rows = tracking.artifacts_of(connection, job.id)
            if not rows:
                refuse_removed(connection, job, ARTIFACTS)
        fitting = [row for row in rows if row["key"] == key and version in (None, row["version"])]
        if not fitting:
            what = f"'{key}'" if version is None else f"'{key}' in version {version}"
            names = ", ".join(sorted({row["key"] for row in rows})[:10]) or "none"
            raise NotFound(
                f"Job '{job.job_id}' has no artifact {what}.", f"Its artifacts: {names}."
            )
        return fitting[-1]


def artifacts_told(rows: Iterable[dict[str, Any]]) -> list[Artifact]:
    """Return rows of artifacts as the API shows them."""
    return [cast("Artifact", {**row, "type": media_type(row["filename"])}) for row in rows]


def _file(entry: Entry) -> File:
    is_file = entry.kind in ("f", "x")
    return {
        "path": str(readable(entry.path)),
        "kind": cast("Any", entry.kind),
        "size": entry.size,
        "digest": entry.value if is_file else None,
        "target": str(readable(entry.value)) if entry.kind == "l" else None,
        "type": media_type(entry.path) if is_file else "",
    }


def _found(entries: Iterable[Entry], path: str) -> Found:
    # Names that are no UTF-8 are shown with `?`, and asked for so.
    for entry in entries:
        if path in (entry.path, readable(entry.path)):
            if entry.kind in ("f", "x"):
                name = entry.path.rpartition("/")[2]
                return Found(str(readable(name)), entry.value, entry.size)
            if entry.kind == "l":
                raise NotFound(f"'{path}' is a link to '{readable(entry.value)}'.")
    raise NotFound(f"There is no file '{path}'.")
