"""Jobs' files as others get them: tarballs, differences, and their removal."""

from __future__ import annotations

import difflib
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from atlas_server.archive.bundles import GRACE_SECONDS, Bundles, InUse
from atlas_server.domain.freed import Freed
from atlas_server.domain.records import JobRecord
from atlas_server.domain.reports import readable
from atlas_server.domain.retention import ARTIFACTS, RESULTS
from atlas_server.services.removed import refuse_removed
from atlas_server.store import jobs, retention, searches, tracking
from atlas_server.store.engine import Store
from foundations.contract.codec import finite
from foundations.contract.flattening import flatten
from foundations.contract.manifest import Entry, check_path

_LONGEST_DIFF = 200_000
_LARGEST_TEXT = 1_000_000
_LONGEST_NAME = 200  # bytes; file systems take 255, and a number may come before it


def _to_nobody(_: int) -> None:
    """Nobody looks."""


class JobFiles(Protocol):
    """Files of jobs that are not in the content store: logs and the like."""

    def remove(self, job_id: str) -> None:
        """Delete all of a job's."""
        ...

    def size(self, job_id: str) -> int:
        """Return what a job's come to, in bytes."""
        ...

    def written(self) -> Iterator[tuple[str, float]]:
        """Yield the ID of each job that has some, and when that was last written to at least."""
        ...


class Archives:
    """Use cases over what jobs consist of and leave behind.

    `others` go with their job; what rules of retention call them is their key.
    """

    def __init__(self, store: Store, bundles: Bundles, others: Mapping[str, JobFiles]) -> None:
        self._store = store
        self._bundles = bundles
        self._others = others
        self.unknown_code: Callable[[], tuple[set[str], float | None]] = lambda: (set(), None)
        """Returns manifests of jobs that are about to become known, and since when there may be
        contents of jobs whose manifest is not there yet."""
        self._removed: queue.SimpleQueue[set[tuple[str, bool]]] = queue.SimpleQueue()

    def members(self, job: JobRecord, *, source: bool, results: bool) -> list[Entry]:
        """Return the files of a job: the code as submitted, with the results over it."""
        if results and not source and not job.outputs:
            with self._store.read() as connection:
                refuse_removed(connection, job, RESULTS)
        code = self._bundles.entries(job.bundle) if source else []
        made = self._bundles.entries(job.outputs) if results and job.outputs else []
        return _laid_over(code, made)

    def artifact_members(self, job: JobRecord) -> list[Entry]:
        """Return the newest version of each artifact, by key."""
        with self._store.read() as connection:
            rows = tracking.artifacts_of(connection, job.id)
            if not rows:
                refuse_removed(connection, job, ARTIFACTS)
        newest = {row["key"]: row for row in rows}
        found: dict[str, Entry] = {}
        for key, row in newest.items():
            name = _free_name(_as_path(key, row["filename"]), found)
            if row["folder"]:
                for entry in self._bundles.entries(row["digest"]):
                    path = f"{name}/{entry.path}"
                    found[path] = entry._replace(path=path)
            else:
                found[name] = Entry(name, "f", row["digest"], row["size"])
        for path in found:
            check_path(path)  # now, for once the tarball has begun nobody can be told
        return [found[path] for path in sorted(found)]

    def diff(self, first: JobRecord, second: JobRecord) -> dict[str, Any]:
        """Return how two jobs differ in code, parameters, settings, results and environment.

        Packages and environment are None while one of the jobs has not told them yet.
        """
        with self._store.read() as connection:
            params = tracking.params_of(connection, [first.id, second.id])
            latest = tracking.latest_of(connection, [first.id, second.id])
        old, new = first.environment or {}, second.environment or {}
        known = bool(old and new)
        return {
            "files": list(self._changed_files(first, second)),
            "params": _changes(
                {**flatten(first.spec["params"] or {}), **params.get(first.id, {})},
                {**flatten(second.spec["params"] or {}), **params.get(second.id, {})},
            ),
            "spec": _changes(_comparable(first), _comparable(second)),
            "state": _changes({"state": first.state.value}, {"state": second.state.value}),
            "metrics": _changes(_values(latest, first), _values(latest, second)),
            "packages": _changes(old.get("packages", {}), new.get("packages", {}))
            if known
            else None,
            "environment": _changes(_surroundings(old), _surroundings(new)) if known else None,
        }

    def remove(self, job: JobRecord, artifacts: set[tuple[str, bool]]) -> None:
        """Delete the other files of a job no longer in the store; its blobs are `tidy`'s.

        `artifacts` are (digest, is a folder) that the job had.
        """
        for files in self._others.values():
            files.remove(job.job_id)
        manifests = {digest for digest in (job.bundle, job.outputs) if digest is not None}
        self.release(artifacts | {(digest, True) for digest in manifests})

    def release(self, had: set[tuple[str, bool]]) -> None:
        """Have `tidy` delete contents that a job had: (digest, is a manifest)."""
        if had:
            self._removed.put(had)

    def tidy(self, patience: float) -> None:
        """Wait up to `patience` seconds for jobs to be removed, and delete blobs that they had."""
        try:
            had = self._removed.get(timeout=max(0.0, patience))
            while not self._removed.empty():
                had |= self._removed.get()
        except queue.Empty:
            return
        candidates: set[str] = set()
        for digest, is_manifest in had:
            candidates |= self._bundles.everything(digest) if is_manifest else {digest}
        self._bundles.release(candidates, self._in_use)

    def stored_bytes(self) -> int:
        """Return what all blobs come to."""
        return self._bundles.stored_bytes()

    def sweep(self, *, dry: bool = False, advance: Callable[[int], None] = _to_nobody) -> Freed:
        """Delete every older blob that no job has; with `dry` say only what would go."""
        return self._bundles.sweep(self._in_use, dry=dry, advance=advance)

    def holds_something(self) -> bool:
        """Whether there is any content."""
        return next(self._bundles.blobs.iter_digests(), None) is not None

    def sweep_unfinished(self, *, dry: bool = False) -> Freed:
        """Delete what came of contents that nobody goes on sending."""
        return self._bundles.sweep_unfinished(dry=dry)

    def sweep_others(self, *, dry: bool = False) -> Freed:
        """Delete older files of jobs that have them no more: who removed them was killed."""
        limit = time.time() - GRACE_SECONDS
        freed = Freed()
        for what, files in self._others.items():
            old = [job_id for job_id, written_at in files.written() if written_at < limit]
            with self._store.read() as connection:
                known = jobs.keys_of(connection, old)
                removed = retention.jobs_without(connection, what, old)
            for job_id in old:
                if job_id not in known or job_id in removed:
                    freed += Freed(1, files.size(job_id))
                    if not dry:
                        files.remove(job_id)
        return freed

    def named(self) -> set[str]:
        """Return the digests of all content that jobs have or consist of."""
        found: set[str] = set()
        for digest, is_manifest in self._in_use().digests.items():
            found |= self._bundles.everything(digest) if is_manifest else {digest}
        return found

    def _in_use(self) -> InUse:
        with self._store.read() as connection:
            manifests = jobs.manifests_in_use(connection) | searches.bundles(connection)
            unknown, since = self.unknown_code()
            found = dict.fromkeys(manifests | unknown, True)
            for digest, folder in tracking.artifact_digests(connection):
                found[digest] = folder or found.get(digest, False)
            begun = [at for at in (jobs.oldest_unfinished(connection), since) if at is not None]
            return InUse(found, min(begun, default=None))

    def _changed_files(self, first: JobRecord, second: JobRecord) -> Iterator[dict[str, Any]]:
        old = {entry.path: entry for entry in self._bundles.entries(first.bundle)}
        new = {entry.path: entry for entry in self._bundles.entries(second.bundle)}
        for path in sorted(old.keys() | new.keys()):
            before, after = old.get(path), new.get(path)
            if before == after:
                continue
            change = "added" if before is None else "removed" if after is None else "changed"
            name = str(readable(path))
            yield {"path": name, "change": change, "diff": self._text_diff(name, before, after)}

    def _text_diff(self, path: str, before: Entry | None, after: Entry | None) -> str | None:
        old, new = self._lines(before), self._lines(after)
        if old is None or new is None:
            return None
        lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
        return "\n".join(lines)[:_LONGEST_DIFF]

    def _lines(self, entry: Entry | None) -> list[str] | None:
        """The lines of a text file, None for anything else."""
        if entry is None:
            return []
        if entry.kind not in ("f", "x") or entry.size > _LARGEST_TEXT:
            return None
        with self._bundles.blobs.open(entry.value) as file:
            try:
                text: str = file.read().decode()
            except UnicodeDecodeError:
                return None
        return None if "\0" in text else text.splitlines()


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[Any]]:
    """Return {name: [old, new]} of what differs; None where a name is missing."""
    return {
        name: [finite(old.get(name)), finite(new.get(name))]
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }


def _comparable(job: JobRecord) -> dict[str, Any]:
    apart = ("params", "bundle", "origin", "rerun_of", "parent", "resources")
    settings = {name: value for name, value in job.spec.items() if name not in apart}
    return {**settings, **job.spec["resources"], "project": job.project}


def _values(latest: dict[int, dict[str, dict[str, Any]]], job: JobRecord) -> dict[str, Any]:
    return {name: point["value"] for name, point in latest.get(job.id, {}).items()}


def _surroundings(environment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environment.items() if name != "packages"}


def _as_path(key: str, filename: str) -> str:
    """A file name for an artifact's key; keys may hold anything."""
    cleaned = "_".join(part for part in key.split("/") if part not in ("", ".", ".."))
    name = _cut(cleaned.replace("\0", "_"), _LONGEST_NAME) or "artifact"
    ending = filename.rpartition(".")[2].replace("/", "_").replace("\0", "_")
    suffix = _cut("." + ending, _LONGEST_NAME // 2) if "." in filename else ""
    if not suffix or name.endswith(suffix):
        return name
    return _cut(name, _LONGEST_NAME - len(suffix.encode())) + suffix


def _cut(text: str, size: int) -> str:
    """The beginning of a text, `size` bytes of UTF-8 at most."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def _free_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or with a number where another key has led to the same one."""
    tops = {path.partition("/")[0] for path in taken}
    number = 2
    free = name
    while free in tops:
        free = f"{number}-{name}"
        number += 1
    return free


def _laid_over(code: Iterable[Entry], made: Sequence[Entry]) -> list[Entry]:
    """What a folder holds after `made` was written into it: files may have become folders."""
    new = {entry.path for entry in made}
    parents = {parent for path in new for parent in _parents(path)}
    kept = [
        entry
        for entry in code
        if entry.path not in new
        and entry.path not in parents
        and not any(parent in new for parent in _parents(entry.path))
    ]
    return sorted([*kept, *made])


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
