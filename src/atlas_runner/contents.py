"""Files that a job's events speak of: brought to where they are kept before the event is told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any

from atlas_runner.job_files import files_below, held
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
        # Programs run by hand have a store of their own already.
        on_the_way = assignment.remote and assignment.adopt is None
        self._blobs = workspace.own_blobs() if on_the_way else BlobDir(assignment.blobs)
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
                with self._staged(line) as place:
                    self._kept.note(staged, *self._adopt(place))
            except (BundleError, OSError) as error:
                self._kept.entries[staged] = (manifest.FILE, "", 0)
                self._warn(f"artifact {line.get('key')!r} cannot be kept: {_reason(error)}")
        kind, digest, size = self._kept.entries[staged]
        return {**line, "digest": digest, "size": size, "folder": kind == manifest.FOLDER}

    def _staged(self, line: dict[str, Any]) -> contextlib.AbstractContextManager[str]:
        """Name a staged copy: never a file that lies elsewhere. Raises BundleError."""
        path = manifest.check_path(str(line.get("staged")))
        return held(self._workspace.artifacts_dir, path)

    def _adopt(self, place: str) -> tuple[str, str, int]:
        if not S_ISDIR(os.lstat(place).st_mode):
            try:
                return manifest.FILE, *self._blobs.adopt(place)
            except PermissionError:
                # A container's worker may be another user, out of whose folder nothing is moved.
                return manifest.FILE, *self._blobs.put_file(place, durable=False)
        entries = []
        for path, file, state in files_below(place):
            if S_ISLNK(state.st_mode):
                target = os.readlink(file)
                if manifest.is_inside(path, target):
                    entries.append((path, manifest.SYMLINK, target, 0))
            elif S_ISREG(state.st_mode):
                # Copied, not moved: what a full disk interrupts begins again from the start.
                digest, size = self._blobs.put_file(file, durable=False)
                entries.append((path, manifest.FILE, digest, size))
        data = manifest.encode(entries)
        manifest.decode(data)  # what nobody could read back is not kept
        return manifest.FOLDER, self._blobs.put_bytes(data), manifest.total_size(entries)

    def _send_file(self, line: dict[str, Any], api: Api) -> None:
        """Send a file of a synchronised directory; its copy is deleted once the server has it."""
        try:
            with self._staged(line) as file:
                if not os.path.lexists(file):
                    return  # sent before: a report that was lost on the way comes again
                place = {name: line.get(name) for name in ("directory", "path", "offset")}
                place["mtime_ns"] = line.get("mtime_ns")
                place["attempt"] = self._assignment.attempt
                place["instance"] = self._assignment.instance
                api.send_file(place, _content(file))
                os.unlink(file)
            self._remove_folder_of(str(line.get("staged")))
        except FileNotFoundError:
            return  # sent before, as above
        except (BundleError, InvalidRequest, NotFound, OSError) as error:
            name = f"{line.get('directory')}/{line.get('path')}"
            self._warn(f"{name[:200]!r} cannot be kept: {_reason(error)}")

    def _remove_folder_of(self, staged: str) -> None:
        parent = staged.rpartition("/")[0]
        with contextlib.suppress(OSError):  # another copy lies there, or it is gone
            if parent:
                with held(self._workspace.artifacts_dir, parent) as folder:
                    os.rmdir(folder)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _content(file: str) -> bytes | Iterator[bytes]:
    """What a file holds; a small one at once, which needs no connection of its own."""
    small = os.lstat(file).st_size <= _SMALL
    return b"".join(_chunks(file)) if small else _chunks(file)


def _chunks(file: str) -> Iterator[bytes]:
    descriptor = open_regular(file)
    try:
        yield from read_chunks(descriptor, file)
    finally:
        os.close(descriptor)
