"""Files that a job's events speak of: brought to where they are kept before the event is told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from atlas_runner.uploads import bring
from atlas_runner.workspace import Workspace
from foundations.blobs import BlobDir
from foundations.client.api import Api
from foundations.contract import events, manifest
from foundations.contract.report import Assignment
from foundations.disk import open_regular, read_chunks
from foundations.errors import BundleError, InvalidRequest, NotFound

_SMALL = 1 << 20


class Contents:
    """Keeps what a job has staged. `warn` puts a sentence into the job's log.

    Anything can stand in a journal: an event without content is passed on without it, and the
    server passes it over.
    """

    def __init__(
        self, assignment: Assignment, workspace: Workspace, warn: Callable[[str], None]
    ) -> None:
        self._assignment = assignment
        self._workspace = workspace
        self._warn = warn
        self._blobs = BlobDir(assignment.blobs)
        self._kept = workspace.artifacts_kept()

    def close(self) -> None:
        """Close the notes of what has been kept."""
        self._kept.close()

    def stored(self, line: dict[str, Any], api: Api) -> dict[str, Any]:
        """Return an event as the server is told it, once its content is there.

        Raises what sending it later may mend: Unreachable, StorageFull and the like.
        """
        if line["k"] == events.ARTIFACT:
            told = self._artifact(line)
            if self._assignment.remote and told["digest"]:
                kind = manifest.FOLDER if told["folder"] else manifest.FILE
                bring(api, self._blobs, kind, told["digest"])
            return told
        if line["k"] == events.FILE:
            self._send_file(line, api)
        return line

    def _artifact(self, line: dict[str, Any]) -> dict[str, Any]:
        """Move a saved artifact into the store and say in its event where it is."""
        staged = str(line.get("staged"))
        if staged not in self._kept.entries:
            try:
                self._kept.note(staged, *self._adopt(self._staged(line)))
            except (BundleError, OSError) as error:
                self._kept.entries[staged] = (manifest.FILE, "", 0)
                self._warn(f"artifact {line.get('key')!r} cannot be kept: {error}")
        kind, digest, size = self._kept.entries[staged]
        return {**line, "digest": digest, "size": size, "folder": kind == manifest.FOLDER}

    def _staged(self, line: dict[str, Any]) -> Path:
        """Where a staged copy is: never a file that lies elsewhere. Raises BundleError."""
        return self._workspace.artifacts_dir / manifest.check_path(str(line.get("staged")))

    def _adopt(self, path: Path) -> tuple[str, str, int]:
        if not path.is_dir():
            try:
                return manifest.FILE, *self._blobs.adopt(str(path))
            except PermissionError:
                # A container's worker may be another user, out of whose folder nothing is moved.
                return manifest.FILE, *self._blobs.put_file(str(path), durable=False)
        entries = []
        for file in sorted(path.rglob("*")):
            name = str(file.relative_to(path))
            if file.is_symlink():
                target = os.readlink(file)
                if manifest.is_inside(name, target):
                    entries.append((name, manifest.SYMLINK, target, 0))
            elif file.is_file():
                # Copied, not moved: what a full disk interrupts begins again from the start.
                digest, size = self._blobs.put_file(str(file), durable=False)
                entries.append((name, manifest.FILE, digest, size))
        data = manifest.encode(entries)
        manifest.decode(data)  # what nobody could read back is not kept
        return manifest.FOLDER, self._blobs.put_bytes(data), manifest.total_size(entries)

    def _send_file(self, line: dict[str, Any], api: Api) -> None:
        """Send a file of a synchronised directory; its copy is deleted once the server has it."""
        try:
            path = self._staged(line)
            if not path.exists():
                return  # sent before: a report that was lost on the way comes again
            place = {name: line.get(name) for name in ("directory", "path", "offset", "mtime_ns")}
            place["attempt"] = self._assignment.attempt
            place["instance"] = self._assignment.instance
            api.send_file(place, _content(path))
        except (BundleError, InvalidRequest, NotFound, OSError) as error:
            name = f"{line.get('directory')}/{line.get('path')}"
            self._warn(f"{name[:200]!r} cannot be kept: {error}")
            return
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _content(path: Path) -> bytes | Iterator[bytes]:
    """What a file holds; a small one at once, which needs no connection of its own."""
    chunks = _chunks(path)
    return b"".join(chunks) if path.stat().st_size <= _SMALL else chunks


def _chunks(path: Path) -> Iterator[bytes]:
    descriptor = open_regular(str(path))
    try:
        yield from read_chunks(descriptor, str(path))
    finally:
        os.close(descriptor)
